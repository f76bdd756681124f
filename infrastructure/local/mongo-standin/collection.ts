// A collection in memory: documents and index entries in B+ trees that are cloned in constant time, which is what makes snapshots cheap.
import sortedBtree from 'sorted-btree';
import { CommandError } from './errors.ts';
import { compileFilter } from './expressions.ts';
import { afterPrefix, type Doc, encodeValue, indexedValues, valuesAt } from './order.ts';

const BTree = sortedBtree.default;
export type Tree<Value> = InstanceType<typeof BTree<string, Value>>;

export type IndexSpec = {
  name: string;
  key: Record<string, number>;
  unique?: boolean;
  sparse?: boolean;
  partialFilterExpression?: Doc;
  expireAfterSeconds?: number;
};

export type Index = {
  spec: IndexSpec;
  fields: string[];
  /** Encoded values followed by the document's key → the document's key. */
  entries: Tree<string>;
  /** True once any document had an array at an indexed path; never reset. */
  multikey: boolean;
  covers: (doc: Doc) => boolean;
  /** The paths that decide what it holds of a document; undefined where they can't be told. */
  paths: string[] | undefined;
};

/** Documents are never changed in place: a new version replaces the old one, so a snapshot keeps what it has seen. */
export type Collection = {
  ns: string;
  /** 0 until its creation is committed. */
  id: number;
  options: Doc;
  /** Changes with every index made or dropped. */
  version: number;
  docs: Tree<Doc>;
  indexes: Index[];
};

const emptyTree = <Value>(): Tree<Value> => new BTree<string, Value>(undefined, compareKeys, 64);

// Not localeCompare: keys are compared by code unit.
function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export const docKey = (doc: Doc): string => encodeValue(doc._id);

export function createCollection(ns: string, id: number, options: Doc = {}): Collection {
  return { ns, id, options, version: 0, docs: emptyTree(), indexes: [] };
}

/** A copy that can be read and changed without the original noticing, and the other way round. */
export function forkCollection(collection: Collection): Collection {
  return {
    ...collection,
    docs: collection.docs.clone(),
    indexes: collection.indexes.map((index) => ({ ...index, entries: index.entries.clone() })),
  };
}

/** @throws DuplicateKey when it is unique and the documents are not */
export function addIndex(collection: Collection, spec: IndexSpec): void {
  const fields = Object.keys(spec.key);
  const partial = spec.partialFilterExpression && compileFilter(spec.partialFilterExpression);
  const covers = (doc: Doc) =>
    (!partial || partial(doc)) &&
    (!spec.sparse || fields.some((field) => valuesAt(doc, field).some((value) => value !== undefined)));
  const decisive = [...fields, ...Object.keys(spec.partialFilterExpression ?? {})];
  const paths = decisive.some((path) => path.startsWith('$')) ? undefined : decisive;
  const index: Index = { spec, fields, entries: emptyTree(), multikey: false, covers, paths };
  for (const [key, doc] of collection.docs.entries()) {
    assertUnique(collection, index, key, doc);
    for (const entry of indexEntries(index, doc)) index.entries.set(entry + key, key);
  }
  collection.indexes.push(index);
  collection.version++;
}

function indexEntries(index: Index, doc: Doc): string[] {
  if (!index.covers(doc)) return [];
  let entries = [''];
  for (const field of index.fields) {
    const { values, isArray } = indexedValues(doc, field);
    if (isArray) index.multikey = true;
    entries = entries.flatMap((entry) => values.map((value) => entry + value));
  }
  return entries;
}

/** Whether a change may concern an index: most changes are of fields that are in none, and to make all entries again costs the most of a write. */
function touches({ paths }: Index, previous: Doc, next: Doc): boolean {
  return paths?.every((path) => isSame(valuesAt(previous, path), valuesAt(next, path))) !== true;
}

/** Of the same value, or arrays of the same values; false where that would take more than a glance. */
function isSame(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return Object.is(a, b);
  return a.length === b.length && a.every((value, index) => isSame(value, b[index]));
}

/** The keys of other documents that hold the same values in a unique index. */
export function* uniqueRivals(index: Index, key: string, doc: Doc): Generator<string> {
  if (!index.spec.unique) return;
  for (const entry of indexEntries(index, doc)) {
    for (const [, other] of index.entries.getRange(entry, afterPrefix(entry))) if (other !== key) yield other;
  }
}

export function duplicateKey(ns: string, name: string, pattern: Record<string, number>, doc: Doc): CommandError {
  const keyValue = Object.fromEntries(Object.keys(pattern).map((field) => [field, valuesAt(doc, field)[0] ?? null]));
  return new CommandError(
    'DuplicateKey',
    `E11000 duplicate key error collection: ${ns} index: ${name} dup key: ${JSON.stringify(keyValue)}`,
    { keyPattern: pattern, keyValue },
  );
}

function assertUnique(collection: Collection, index: Index, key: string, doc: Doc): void {
  if (!uniqueRivals(index, key, doc).next().done)
    throw duplicateKey(collection.ns, index.spec.name, index.spec.key, doc);
}

/** @throws DuplicateKey when another document holds a value that `doc` may not share */
export function assertAllUnique(collection: Collection, key: string, doc: Doc): void {
  for (const index of collection.indexes) assertUnique(collection, index, key, doc);
}

/** Puts (or, without `next`, removes) one document and its index entries. Uniqueness is the caller's to check first. */
export function replaceDoc(collection: Collection, key: string, next: Doc | undefined): void {
  const previous = collection.docs.get(key);
  for (const index of collection.indexes) {
    if (previous && next && !touches(index, previous, next)) continue;
    const before = previous ? indexEntries(index, previous) : [];
    const after = next ? indexEntries(index, next) : [];
    for (const entry of before) if (!after.includes(entry)) index.entries.delete(entry + key);
    for (const entry of after) if (!before.includes(entry)) index.entries.set(entry + key, key);
  }
  if (next) collection.docs.set(key, next);
  else collection.docs.delete(key);
}
