// Reads the arguments of commands: of the right type or refused, and what is not supported is refused, never ignored.
import { CommandError } from './errors.ts';
import { type Doc, isDoc } from './order.ts';

const unsupported = ['collation', 'arrayFilters', 'tailable', 'awaitData', 'min', 'max', 'returnKey', 'showRecordId'];

/** @throws CommandNotSupported for an option that would change the result */
export function refuseUnsupported(command: Doc): void {
  const option = unsupported.find((name) => command[name] !== undefined && command[name] !== false);
  if (option) throw new CommandError('CommandNotSupported', `${option} is not supported by this stand-in`);
}

/** @returns {} where the field is missing; @throws TypeMismatch */
export function document(command: Doc, field: string): Doc {
  const value = command[field] ?? {};
  if (!isDoc(value)) throw new CommandError('TypeMismatch', `Field '${field}' must be an object`);
  return value;
}

/** @throws TypeMismatch */
export function optionalNumber(command: Doc, field: string): number | undefined {
  const value = command[field];
  if (value === undefined || typeof value === 'number') return value;
  throw new CommandError('TypeMismatch', `Field '${field}' must be a number`);
}
