// A service's event table: which event becomes which command for which handler.
import type { CloudEvent, EventDefinition, EventOf } from '../contracts/index.ts';

export interface Subscription<Deps> {
  definition: EventDefinition;
  /** The handler's name, as the saga table has it. */
  handler: string;
  /** Hands the event, its data already checked, to the handler as a command. */
  handle(event: CloudEvent, deps: Deps): Promise<unknown>;
}

/**
 * One row of the table.
 * @param handler a use case, the same function that HTTP would call
 * @param translate the event as the handler's command; no logic
 */
export function on<D extends EventDefinition, Command, Deps>(
  definition: D,
  handler: (command: Command, deps: Deps) => Promise<unknown>,
  translate: (event: EventOf<D>) => Command,
): Subscription<Deps> {
  return {
    definition,
    handler: handler.name,
    handle: (event, deps) => handler(translate(event as EventOf<D>), deps),
  };
}
