// Finds documents by filter: through the index that gives the fewest candidates, in index order where that saves a sort.
import type { Collection, Index, Tree } from './collection.ts';
import { compileFilter, type Filter } from './expressions.ts';
import { afterPrefix, type Doc, encodeValue, isDoc, sortDocs, typeBracket } from './order.ts';

export type FindOptions = { sort?: Doc; skip?: number; limit?: number; variables?: Doc };

type Bound = { equal?: unknown[]; low?: unknown; high?: unknown };
type Range = { low: string; high: string };

/** Documents that match, as they are stored: not to be changed. `limit` 0 = all. */
export function findDocs(
  collection: Collection | undefined,
  filter: Doc,
  { sort, skip = 0, limit = 0, variables }: FindOptions = {},
): Doc[] {
  const matches = compileFilter(filter, variables);
  if (!collection) return [];
  const wanted = limit > 0 ? skip + limit : Number.POSITIVE_INFINITY;
  if (!sort || Object.keys(sort).length === 0) {
    return take(
      candidates(collection, filter, Number.POSITIVE_INFINITY) ?? collection.docs.values(),
      matches,
      wanted,
    ).slice(skip);
  }
  // A few candidates are sorted sooner than an index is walked; many are not.
  const few = wanted < Number.POSITIVE_INFINITY ? candidates(collection, filter, 1000) : undefined;
  const ordered = few ? undefined : inOrder(collection, filter, sort);
  if (ordered && wanted < Number.POSITIVE_INFINITY) return take(ordered, matches, wanted).slice(skip);
  const all = few ?? candidates(collection, filter, Number.POSITIVE_INFINITY) ?? collection.docs.values();
  return sortDocs(take(all, matches, Number.POSITIVE_INFINITY), sort).slice(skip, wanted);
}

function take(docs: Iterable<Doc>, matches: Filter, count: number): Doc[] {
  const taken: Doc[] = [];
  for (const doc of docs) {
    if (!matches(doc)) continue;
    taken.push(doc);
    if (taken.length >= count) break;
  }
  return taken;
}

/** What a filter demands of each path, as far as an index can help. */
function boundsOf(filter: Doc, bounds = new Map<string, Bound>()): Map<string, Bound> {
  for (const [path, condition] of Object.entries(filter)) {
    if (path === '$and') for (const part of condition as Doc[]) boundsOf(part, bounds);
    if (path.startsWith('$')) continue;
    const bound: Bound = bounds.get(path) ?? {};
    const operators = isDoc(condition) && Object.keys(condition)[0]?.startsWith('$') ? condition : { $eq: condition };
    for (const [operator, value] of Object.entries(operators)) {
      if (operator === '$eq' && indexable(value)) bound.equal ??= [value];
      else if (operator === '$in' && Array.isArray(value) && value.every(indexable)) bound.equal ??= value;
      else if ((operator === '$gt' || operator === '$gte') && indexable(value) && value !== null) bound.low ??= value;
      else if ((operator === '$lt' || operator === '$lte') && indexable(value) && value !== null) bound.high ??= value;
    }
    bounds.set(path, bound);
  }
  return bounds;
}

/** An array equals a whole array or an element; a pattern matches many values: neither is one place in an index. */
const indexable = (value: unknown): boolean => !Array.isArray(value) && !(value instanceof RegExp);

/** A partial or sparse index lacks documents; it may serve only filters that exclude these too. */
function serves({ spec, fields }: Index, filter: Doc, bounds: Map<string, Bound>): boolean {
  const implied = Object.entries(spec.partialFilterExpression ?? {}).every(
    ([path, condition]) => path in filter && encodeValue(filter[path]) === encodeValue(condition),
  );
  const bound = bounds.get(fields[0] ?? '');
  return (
    implied && (!spec.sparse || (bound !== undefined && !bound.equal?.includes(null) && Object.keys(bound).length > 0))
  );
}

/** The stretches of an index that hold every match; undefined where the filter says nothing about its first field. */
function rangesOf(
  { fields, multikey }: Pick<Index, 'fields' | 'multikey'>,
  bounds: Map<string, Bound>,
): Range[] | undefined {
  let prefixes = [''];
  for (const [depth, field] of fields.entries()) {
    const bound = bounds.get(field);
    if (bound?.equal && prefixes.length * bound.equal.length <= 1000) {
      const values = [...new Set(bound.equal.map((value) => encodeValue(value ?? null)))];
      prefixes = prefixes.flatMap((prefix) => values.map((value) => prefix + value));
    } else if (bound && (bound.low !== undefined || bound.high !== undefined)) {
      const { low, high } = rangeOf(bound, multikey);
      return prefixes.map((prefix) => ({ low: prefix + low, high: prefix + high }));
    } else if (depth === 0) {
      return undefined;
    } else break;
  }
  return prefixes.map((prefix) => ({ low: prefix, high: afterPrefix(prefix) }));
}

function rangeOf(bound: Bound, multikey: boolean): Range {
  const low = bound.low === undefined ? undefined : encodeValue(bound.low);
  // One element of an array may be above the low bound and another below the high one.
  const high = bound.high === undefined || (multikey && low !== undefined) ? undefined : encodeValue(bound.high);
  const bracket = typeBracket(low ?? high ?? '');
  return { low: low ?? bracket.low, high: high === undefined ? bracket.high : afterPrefix(high) };
}

/**
 * All documents that may match, found through an index; undefined where none helps or all give more than `most`.
 * The indexes race with growing allowances, so the one with the fewest entries wins without statistics.
 */
function candidates(collection: Collection, filter: Doc, most: number): Doc[] | undefined {
  const bounds = boundsOf(filter);
  const byId = rangesOf({ fields: ['_id'], multikey: false }, bounds);
  if (byId) return byId.flatMap(({ low, high }) => collection.docs.getRange(low, high).map(([, doc]) => doc));
  // Of indexes that begin alike one is enough: the same stretch of each holds the same documents.
  const plans = new Map<string, { index: Index; ranges: Range[] }>();
  for (const index of collection.indexes) {
    const ranges = serves(index, filter, bounds) ? rangesOf(index, bounds) : undefined;
    if (ranges) plans.set(`${index.fields[0]} ${ranges.map(({ low, high }) => low + high)}`, { index, ranges });
  }
  if (plans.size === 0) return undefined;
  for (let allowance = 100; ; allowance *= 10) {
    for (const { index, ranges } of plans.values()) {
      const keys = keysWithin(index.entries, ranges, Math.min(allowance, most));
      if (keys) return [...lookUp(collection, keys)];
    }
    if (allowance >= most) return undefined;
  }
}

function keysWithin(entries: Tree<string>, ranges: Range[], most: number): Set<string> | undefined {
  const keys: string[] = [];
  for (const { low, high } of ranges) {
    for (const [, key] of entries.getRange(low, high, false, most + 1)) keys.push(key);
    if (keys.length > most) return undefined;
  }
  // An array has an entry per element, and several of them may lie in the ranges.
  return new Set(keys);
}

/** Documents in the order of `sort`, where an index has it after fields that the filter fixes; all in one direction only. */
function inOrder(collection: Collection, filter: Doc, sort: Doc): Iterable<Doc> | undefined {
  const paths = Object.keys(sort);
  const direction = Number(Object.values(sort)[0]);
  if (Object.values(sort).some((each) => Number(each) !== direction)) return undefined;
  if (paths[0] === '_id') return walk(collection.docs, '', direction);

  const bounds = boundsOf(filter);
  for (const index of collection.indexes) {
    if (index.multikey || !serves(index, filter, bounds)) continue;
    let fixed = '';
    let depth = 0;
    for (; index.fields[depth] !== paths[0]; depth++) {
      const equal = bounds.get(index.fields[depth] ?? '')?.equal;
      if (equal?.length !== 1) break;
      fixed += encodeValue(equal[0] ?? null);
    }
    // Entries end with the document's key, so documents that tie are in the order of their ids.
    const order = [...index.fields.slice(depth), '_id'];
    if (paths.every((path, i) => order[i] === path)) return lookUp(collection, walk(index.entries, fixed, direction));
  }
  return undefined;
}

function* lookUp({ docs }: Collection, keys: Iterable<string>): Generator<Doc> {
  for (const key of keys) {
    const doc = docs.get(key);
    if (doc) yield doc;
  }
}

function* walk<Value>(tree: Tree<Value>, prefix: string, direction: number): Generator<Value> {
  const entries = direction > 0 ? tree.entries(prefix) : tree.entriesReversed(afterPrefix(prefix));
  for (const [key, value] of entries) {
    if (!key.startsWith(prefix)) return;
    yield value;
  }
}
