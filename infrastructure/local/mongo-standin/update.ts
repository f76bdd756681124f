// Applies an update to one document: operators, a replacement or a pipeline; the result is a new document, the old one stays.
import { Timestamp } from 'bson';
import { cloneDeep, isEqual } from 'mingo/util';
import { CommandError } from './errors.ts';
import { checkPipeline, compileFilter, run, updateStages } from './expressions.ts';
import { compareValues, type Doc, isDoc, sortDocs } from './order.ts';

/** The new version of a document; the same object where nothing changes. */
export type Update = (doc: Doc, inserting: boolean) => Doc;

/** Gives the new value of a field from its present one; undefined = the field is not there. */
type Operator = (current: unknown, argument: unknown, path: string) => unknown;

const operators: Record<string, Operator> = {
  $set: (_, value) => value,
  $setOnInsert: (_, value) => value,
  $unset: () => undefined,
  $inc: (current, by, path) => numeric('$inc', current, by, path, (a, b) => a + b),
  $mul: (current, by, path) => numeric('$mul', current, by, path, (a, b) => a * b),
  $min: (current, value) => (current === undefined || compareValues(value, current) < 0 ? value : current),
  $max: (current, value) => (current === undefined || compareValues(value, current) > 0 ? value : current),
  $currentDate: (_, kind) =>
    isDoc(kind) && kind.$type === 'timestamp' ? new Timestamp({ t: Math.floor(Date.now() / 1000), i: 1 }) : new Date(),
  $push: (current, argument, path) => {
    const { $each, $slice, $sort, $position } = each(argument);
    const array = arrayAt('$push', current ?? [], path).slice();
    array.splice(typeof $position === 'number' ? $position : array.length, 0, ...$each);
    const sorted = $sort === undefined ? array : sortElements(array, $sort);
    if (typeof $slice !== 'number') return sorted;
    return $slice < 0 ? sorted.slice($slice) : sorted.slice(0, $slice);
  },
  $addToSet: (current, argument, path) => {
    const array = arrayAt('$addToSet', current ?? [], path).slice();
    for (const value of each(argument).$each) if (!array.some((element) => isEqual(element, value))) array.push(value);
    return array;
  },
  $pull: (current, condition, path) => {
    if (current === undefined) return undefined;
    const pulled = pullCondition(condition);
    return arrayAt('$pull', current, path).filter((element) => !pulled(element));
  },
};

function numeric(
  name: string,
  current: unknown,
  by: unknown,
  path: string,
  apply: (a: number, b: number) => number,
): number {
  if (typeof by !== 'number')
    throw new CommandError(
      'TypeMismatch',
      `Cannot ${name} with non-numeric argument: {${path}: ${JSON.stringify(by)}}`,
    );
  if (current === undefined) return name === '$inc' ? by : 0;
  if (typeof current === 'number') return apply(current, by);
  throw new CommandError(
    'TypeMismatch',
    `Cannot apply ${name} to a value of non-numeric type: the field '${path}' is not a number`,
  );
}

function arrayAt(name: string, value: unknown, path: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new CommandError('BadValue', `Cannot apply ${name} to the non-array field '${path}'`);
}

function each(argument: unknown): { $each: unknown[]; $slice?: unknown; $sort?: unknown; $position?: unknown } {
  if (!isDoc(argument) || !('$each' in argument)) return { $each: [argument] };
  if (Array.isArray(argument.$each)) return { ...argument, $each: argument.$each };
  throw new CommandError('TypeMismatch', 'The argument to $each must be an array');
}

function sortElements(array: unknown[], spec: unknown): unknown[] {
  return isDoc(spec) ? sortDocs(array as Doc[], spec) : array.sort((a, b) => Number(spec) * compareValues(a, b));
}

function pullCondition(condition: unknown): (element: unknown) => boolean {
  if (isDoc(condition) && !Object.keys(condition).some((key) => key.startsWith('$'))) {
    const matches = compileFilter(condition);
    return (element) => isDoc(element) && matches(element);
  }
  if (!isDoc(condition) && !(condition instanceof RegExp)) return (element) => isEqual(element, condition);
  const matches = compileFilter({ element: condition });
  return (element) => matches({ element });
}

/**
 * @param update operators, a whole document or a pipeline
 * @param variables the command's `let`, for a pipeline
 * @throws FailedToParse, ConflictingUpdateOperators and others before a document is touched
 */
export function compileUpdate(update: unknown, variables: Doc = {}): Update {
  if (Array.isArray(update)) {
    const pipeline: Doc[] = update;
    checkPipeline(pipeline, updateStages);
    return keepingId((doc) => run([cloneDeep(doc) as Doc], pipeline, variables)[0] ?? doc);
  }
  if (!isDoc(update)) throw new CommandError('FailedToParse', 'Update argument must be either an object or an array');
  if (!isOperatorUpdate(update))
    return keepingId((doc) => ('_id' in update || !('_id' in doc) ? update : { _id: doc._id, ...update }));

  const changes = parseOperators(update);
  return keepingId((doc, inserting) => {
    const next = cloneDeep(doc) as Doc;
    for (const { name, path, argument } of changes) {
      if (name !== '$setOnInsert' || inserting) changeAt(next, path, name, cloneDeep(argument));
    }
    return next;
  });
}

export const isOperatorUpdate = (update: unknown): boolean =>
  Array.isArray(update) || (isDoc(update) && Object.keys(update)[0]?.startsWith('$') === true);

function keepingId(update: Update): Update {
  return (doc, inserting) => {
    const next = update(doc, inserting);
    if (isEqual(next, doc)) return doc;
    if ('_id' in doc && !isEqual(next._id, doc._id)) {
      throw new CommandError(
        'ImmutableField',
        "Performing an update on the path '_id' would modify the immutable field '_id'",
      );
    }
    return next;
  };
}

function parseOperators(update: Doc): { name: string; path: string; argument: unknown }[] {
  const changes = Object.entries(update).flatMap(([name, fields]) => {
    if (!Object.hasOwn(operators, name)) {
      throw new CommandError(
        'FailedToParse',
        `Unknown modifier: ${name}. Expected a valid update modifier or pipeline-style update specified as an array`,
      );
    }
    if (!isDoc(fields))
      throw new CommandError(
        'FailedToParse',
        `Modifiers operate on fields but we found another type instead: {${name}: ...}`,
      );
    return Object.entries(fields).map(([path, argument]) => ({ name, path, argument }));
  });
  // In this order MongoDB adds new fields, and a path stands next to those it is the beginning of.
  changes.sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { path } of changes) {
    if (path.split('.').some((part) => part === '' || part.startsWith('$'))) {
      throw new CommandError(
        'BadValue',
        `The path '${path}' has an empty or a positional part, which is not supported`,
      );
    }
    const rivals = changes.filter((other) => other.path === path || other.path.startsWith(`${path}.`));
    if (rivals.length > 1) {
      throw new CommandError(
        'ConflictingUpdateOperators',
        `Updating the path '${path}' would create a conflict at '${path}'`,
      );
    }
  }
  return changes;
}

function changeAt(root: Doc, path: string, name: string, argument: unknown): void {
  const parts = path.split('.');
  const last = parts.pop() ?? '';
  const removes = name === '$unset' || name === '$pull';
  let container: Doc | unknown[] = root;
  for (const part of parts) {
    const inner = get(container, part);
    if (inner === undefined && removes) return;
    if (isDoc(inner) || Array.isArray(inner)) container = inner;
    else if (inner === undefined) container = put(container, part, {}, path) as Doc;
    else if (removes) return;
    else throw notViable(path, part);
  }
  const current = get(container, last);
  const next = operators[name]?.(current, argument, path);
  if (next !== undefined) put(container, last, next, path);
  else if (Array.isArray(container)) {
    if (current !== undefined) container[Number(last)] = null;
  } else delete container[last];
}

function get(container: Doc | unknown[], part: string): unknown {
  if (Array.isArray(container)) return container[Number(part)];
  return Object.hasOwn(container, part) ? container[part] : undefined;
}

function put(container: Doc | unknown[], part: string, value: unknown, path: string): unknown {
  if (!Array.isArray(container)) {
    container[part] = value;
    return value;
  }
  if (!/^\d+$/.test(part)) throw notViable(path, part);
  while (container.length < Number(part)) container.push(null);
  container[Number(part)] = value;
  return value;
}

function notViable(path: string, part: string): CommandError {
  return new CommandError('PathNotViable', `Cannot create field '${path}': the element '${part}' is not a document`);
}

/** The document that an upsert starts from: what the filter says must be equal. */
export function upsertSeed(filter: Doc): Doc {
  const seed: Doc = {};
  for (const [path, condition] of Object.entries(filter)) {
    if (path === '$and') for (const part of condition as Doc[]) Object.assign(seed, upsertSeed(part));
    if (path.startsWith('$')) continue;
    const value = isDoc(condition) && Object.keys(condition)[0]?.startsWith('$') ? condition.$eq : condition;
    if (value !== undefined && !(value instanceof RegExp)) changeAt(seed, path, '$set', value);
  }
  return seed;
}
