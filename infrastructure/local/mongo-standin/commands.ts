// The command table: every command that is answered, but for the commit and abort of transactions.
import { calculateObjectSize, Long, type ObjectId } from 'bson';
import { document, optionalNumber, refuseUnsupported } from './arguments.ts';
import type { IndexSpec } from './collection.ts';
import { CommandError } from './errors.ts';
import { checkPipeline, compileFilter, project, run } from './expressions.ts';
import { type Doc, encodeValue, isDoc, valuesAt } from './order.ts';
import { findDocs } from './query.ts';
import { databaseOf, type Store, type Unit } from './store.ts';
import { findAndModify, insert, remove, update } from './writes.ts';

export type Context = {
  store: Store;
  unit: Unit;
  cursors: Map<number, Cursor>;
  database: string;
  /** The full name of a collection of the command's database. */
  namespace(collection: unknown): string;
  /** Where the client reached this server. */
  address: string;
  connectionId: number;
  electionId: ObjectId;
};

export type Cursor = { ns: string; docs: Doc[]; unit: Unit; usedAt: number };

export type Command = {
  run(command: Doc, context: Context): Doc;
  /** Whether it may be part of a transaction. */
  inTransaction?: boolean;
};

const hello = (_: Doc, { address, connectionId, electionId }: Context): Doc => ({
  helloOk: true,
  isWritablePrimary: true,
  ismaster: true,
  secondary: false,
  setName: 'rs0',
  setVersion: 1,
  electionId,
  hosts: [address],
  primary: address,
  me: address,
  maxBsonObjectSize: 16 * 1024 * 1024,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  localTime: new Date(),
  logicalSessionTimeoutMinutes: 30,
  connectionId,
  minWireVersion: 0,
  maxWireVersion: 25,
  readOnly: false,
});

export const commands: Record<string, Command> = {
  hello: { run: hello },
  isMaster: { run: hello },
  ismaster: { run: hello },
  ping: { run: () => ({}) },
  buildInfo: { run: buildInfo },
  buildinfo: { run: buildInfo },
  connectionStatus: { run: () => ({ authInfo: { authenticatedUsers: [], authenticatedUserRoles: [] } }) },
  serverStatus: { run: serverStatus },

  find: { run: find, inTransaction: true },
  getMore: { run: getMore, inTransaction: true },
  killCursors: { run: killCursors, inTransaction: true },
  aggregate: { run: aggregate, inTransaction: true },
  distinct: { run: distinct, inTransaction: true },
  count: { run: count },

  insert: { run: insert, inTransaction: true },
  update: { run: update, inTransaction: true },
  delete: { run: remove, inTransaction: true },
  findAndModify: { run: findAndModify, inTransaction: true },
  findandmodify: { run: findAndModify, inTransaction: true },

  listDatabases: { run: listDatabases },
  listCollections: { run: listCollections },
  create: { run: create },
  drop: { run: drop },
  dropDatabase: { run: dropDatabase },
  listIndexes: { run: listIndexes },
  createIndexes: { run: createIndexes },
  dropIndexes: { run: dropIndexes },
  collMod: { run: notSupported },
  explain: { run: notSupported },
};

function buildInfo(): Doc {
  return {
    version: '8.0.0',
    versionArray: [8, 0, 0, 0],
    modules: ['mongo-standin'],
    bits: 64,
    maxBsonObjectSize: 16 * 1024 * 1024,
  };
}

function serverStatus(): Doc {
  return {
    host: 'localhost',
    version: '8.0.0',
    process: 'mongo-standin',
    pid: process.pid,
    uptime: process.uptime(),
    localTime: new Date(),
  };
}

function notSupported(command: Doc): never {
  throw new CommandError('CommandNotSupported', `${Object.keys(command)[0]} is not supported by this stand-in`);
}

function find(command: Doc, context: Context): Doc {
  refuseUnsupported(command);
  const ns = context.namespace(command.find);
  const limit = optionalNumber(command, 'limit') ?? 0;
  const variables = document(command, 'let');
  const docs = findDocs(context.unit.collection(ns), document(command, 'filter'), {
    sort: document(command, 'sort'),
    skip: optionalNumber(command, 'skip') ?? 0,
    limit: Math.abs(limit),
    variables,
  });
  const shown = project(docs, document(command, 'projection'), variables);
  return openCursor(
    context,
    ns,
    shown,
    optionalNumber(command, 'batchSize'),
    command.singleBatch === true || limit < 0,
  );
}

function aggregate(command: Doc, context: Context): Doc {
  refuseUnsupported(command);
  if (typeof command.aggregate !== 'string') throw new CommandError('InvalidNamespace', 'aggregate needs a collection');
  if (!isDoc(command.cursor)) throw new CommandError('FailedToParse', "The 'cursor' option is required");
  const ns = context.namespace(command.aggregate);
  const pipeline = command.pipeline as Doc[];
  if (!Array.isArray(pipeline))
    throw new CommandError('TypeMismatch', "'pipeline' option must be specified as an array");
  checkPipeline(pipeline);
  const variables = document(command, 'let');
  const { filter, options, rest } = splitPipeline(pipeline);
  const docs = findDocs(context.unit.collection(ns), filter, { ...options, variables });
  const resolve = (name: string) => findDocs(context.unit.collection(context.namespace(name)), {});
  return openCursor(context, ns, run(docs, rest, variables, resolve), optionalNumber(command.cursor, 'batchSize'));
}

/** What a pipeline begins with that an index can answer: `$match`, `$sort`, `$skip`, `$limit`, in this order. */
function splitPipeline(pipeline: Doc[]) {
  const rest = [...pipeline];
  const next = (name: string) => (rest[0] && name in rest[0] ? rest.shift()?.[name] : undefined);
  const filter = (next('$match') ?? {}) as Doc;
  const sort = next('$sort') as Doc | undefined;
  const skip = next('$skip') as number | undefined;
  const limit = next('$limit') as number | undefined;
  return { filter, options: { ...(sort && { sort }), ...(skip && { skip }), ...(limit && { limit }) }, rest };
}

function distinct(command: Doc, { unit, namespace }: Context): Doc {
  refuseUnsupported(command);
  const docs = findDocs(unit.collection(namespace(command.distinct)), document(command, 'query'));
  const values = docs
    .flatMap((doc) => valuesAt(doc, String(command.key)).flat())
    .filter((value) => value !== undefined);
  return {
    values: [...new Map(values.map((value) => [encodeValue(value), value])).entries()]
      .sort(byKey)
      .map(([, value]) => value),
  };
}

const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);

function count(command: Doc, { unit, namespace }: Context): Doc {
  refuseUnsupported(command);
  const collection = unit.collection(namespace(command.count));
  const query = document(command, 'query');
  const [skip, limit] = [optionalNumber(command, 'skip') ?? 0, optionalNumber(command, 'limit') ?? 0];
  if (Object.keys(query).length === 0 && skip === 0 && limit === 0) return { n: collection?.docs.size ?? 0 };
  return { n: findDocs(collection, query, { skip, limit: Math.abs(limit) }).length };
}

/** The first batch is 101 documents unless the client says otherwise; later ones are bounded by size alone. */
function openCursor(context: Context, ns: string, docs: Doc[], batchSize = 101, single = false): Doc {
  const cursor: Cursor = { ns, docs: [...docs], unit: context.unit, usedAt: Date.now() };
  const firstBatch = nextBatch(cursor, batchSize);
  const id = cursor.docs.length > 0 && !single ? newCursorId(context.cursors) : 0;
  if (id > 0) context.cursors.set(id, cursor);
  return { cursor: { firstBatch, id: Long.fromNumber(id), ns } };
}

function newCursorId(cursors: Map<number, Cursor>): number {
  for (;;) {
    const id = 1 + Math.floor(Math.random() * 2 ** 48);
    if (!cursors.has(id)) return id;
  }
}

function nextBatch(cursor: Cursor, most: number): Doc[] {
  let bytes = 0;
  let count = 0;
  for (; count < Math.min(most, cursor.docs.length); count++) {
    bytes += calculateObjectSize(cursor.docs[count] ?? {});
    if (bytes > 16_000_000 && count > 0) break;
  }
  return cursor.docs.splice(0, count);
}

function getMore(command: Doc, { cursors, namespace, unit }: Context): Doc {
  const id = Number(command.getMore);
  const cursor = cursors.get(id);
  const ns = namespace(command.collection);
  if (!cursor || cursor.ns !== ns || cursor.unit !== unit)
    throw new CommandError('CursorNotFound', `cursor id ${id} not found`);
  cursor.usedAt = Date.now();
  const batch = nextBatch(cursor, optionalNumber(command, 'batchSize') ?? Number.POSITIVE_INFINITY);
  const isDone = cursor.docs.length === 0;
  if (isDone) cursors.delete(id);
  return { cursor: { nextBatch: batch, id: Long.fromNumber(isDone ? 0 : id), ns } };
}

function killCursors(command: Doc, { cursors }: Context): Doc {
  const ids = (command.cursors as unknown[]).map(Number);
  const cursorsKilled = ids.filter((id) => cursors.delete(id));
  const cursorsNotFound = ids.filter((id) => !cursorsKilled.includes(id));
  return {
    cursorsKilled: cursorsKilled.map((id) => Long.fromNumber(id)),
    cursorsNotFound: cursorsNotFound.map((id) => Long.fromNumber(id)),
    cursorsAlive: [],
    cursorsUnknown: [],
  };
}

function listDatabases(command: Doc, { store }: Context): Doc {
  const names = [...new Set([...store.collections.keys()].map(databaseOf))].sort();
  const matches = compileFilter(document(command, 'filter'));
  const databases = names.map((name) => ({ name, sizeOnDisk: 0, empty: false })).filter(matches);
  return { databases: command.nameOnly === true ? databases.map(({ name }) => ({ name })) : databases, totalSize: 0 };
}

function listCollections(command: Doc, context: Context): Doc {
  const matches = compileFilter(document(command, 'filter'));
  const inDatabase = [...context.store.collections.values()].filter(({ ns }) => databaseOf(ns) === context.database);
  const described = inDatabase.map(({ ns, options }) => ({
    name: ns.slice(context.database.length + 1),
    type: 'collection',
    ...(command.nameOnly !== true && { options, info: { readOnly: false }, idIndex: idIndex() }),
  }));
  return openCursor(context, `${context.database}.$cmd.listCollections`, described.filter(matches));
}

const idIndex = () => ({ v: 2, key: { _id: 1 }, name: '_id_' });

/** Fields of any command that say how it is to be run, not what is to be done. */
const generic = new Set(
  'lsid $db $clusterTime $readPreference txnNumber writeConcern readConcern comment maxTimeMS apiVersion'.split(' '),
);

function create(command: Doc, { store, namespace }: Context): Doc {
  const ns = namespace(command.create);
  const unknown = Object.keys(command).find((name) => name !== 'create' && !generic.has(name));
  if (unknown)
    throw new CommandError('InvalidOptions', `The collection option '${unknown}' is not supported by this stand-in`);
  // Creating a collection again with the same options is no error.
  if (!store.collections.has(ns)) store.create(ns, {});
  return {};
}

function drop(command: Doc, { store, namespace }: Context): Doc {
  const ns = namespace(command.drop);
  const nIndexesWas = 1 + (store.collections.get(ns)?.indexes.length ?? -1);
  store.drop(ns);
  return nIndexesWas > 0 ? { nIndexesWas, ns } : {};
}

function dropDatabase(_: Doc, { store, database }: Context): Doc {
  for (const ns of [...store.collections.keys()]) if (databaseOf(ns) === database) store.drop(ns);
  return { dropped: database };
}

function listIndexes(command: Doc, context: Context): Doc {
  const ns = context.namespace(command.listIndexes);
  const collection = context.store.collections.get(ns);
  if (!collection) throw new CommandError('NamespaceNotFound', `ns does not exist: ${ns}`);
  return openCursor(context, ns, [idIndex(), ...collection.indexes.map(({ spec }) => ({ v: 2, ...spec }))]);
}

const indexOptions = new Set(
  'name key unique sparse partialFilterExpression expireAfterSeconds background v'.split(' '),
);

function createIndexes(command: Doc, { store, namespace }: Context): Doc {
  const ns = namespace(command.createIndexes);
  const present = store.collections.get(ns)?.indexes.map(({ spec }) => spec) ?? [];
  const wanted = (command.indexes as Doc[])
    .map(parseIndex)
    .filter((spec) => encodeValue(spec.key) !== encodeValue({ _id: 1 }));
  const missing = wanted.filter((spec) => !isPresent(spec, present));
  const numIndexesBefore = present.length + 1;
  const createdCollectionAutomatically = !store.collections.has(ns);
  if (missing.length > 0 || createdCollectionAutomatically) store.createIndexes(ns, missing);
  return { numIndexesBefore, numIndexesAfter: numIndexesBefore + missing.length, createdCollectionAutomatically };
}

function parseIndex(spec: Doc): IndexSpec {
  const { key, name, background: _background, v: _v, ...options } = spec;
  const unknown = Object.keys(spec).find((option) => !indexOptions.has(option));
  if (unknown)
    throw new CommandError('CannotCreateIndex', `The index option '${unknown}' is not supported by this stand-in`);
  const directions = isDoc(key) ? Object.values(key) : [];
  if (directions.length === 0 || !directions.every((direction) => typeof direction === 'number' && direction !== 0)) {
    throw new CommandError(
      'CannotCreateIndex',
      `Values in the index key pattern must be numbers other than 0: ${JSON.stringify(key)}`,
    );
  }
  if (options.expireAfterSeconds !== undefined && directions.length > 1) {
    throw new CommandError(
      'CannotCreateIndex',
      'TTL indexes are single-field indexes, compound indexes do not support TTL',
    );
  }
  return { key: key as Record<string, number>, name: String(name), ...options };
}

/** @throws IndexKeySpecsConflict or IndexOptionsConflict when another index has its name or its key */
function isPresent(spec: IndexSpec, present: IndexSpec[]): boolean {
  const same = (a: unknown, b: unknown) => encodeValue(a) === encodeValue(b);
  const options = ({ name: _name, key: _key, ...rest }: IndexSpec) => Object.fromEntries(Object.entries(rest).sort());
  for (const other of present) {
    if (other.name === spec.name && !same([other.key, options(other)], [spec.key, options(spec)])) {
      throw new CommandError(
        'IndexKeySpecsConflict',
        `An existing index has the same name as the requested index: ${spec.name}`,
      );
    }
    if (other.name === spec.name) return true;
    if (
      same(other.key, spec.key) &&
      same(other.partialFilterExpression ?? null, spec.partialFilterExpression ?? null)
    ) {
      throw new CommandError('IndexOptionsConflict', `Index already exists with a different name: ${other.name}`);
    }
  }
  return false;
}

function dropIndexes(command: Doc, { store, namespace }: Context): Doc {
  const ns = namespace(command.dropIndexes);
  const collection = store.collections.get(ns);
  if (!collection) throw new CommandError('NamespaceNotFound', `ns not found ${ns}`);
  const nIndexesWas = collection.indexes.length + 1;
  const specs = collection.indexes.map(({ spec }) => spec);
  const targets = Array.isArray(command.index) ? command.index : [command.index];
  const names = targets.flatMap((target) => {
    if (target === '*') return specs.map(({ name }) => name);
    if (target === '_id_') throw new CommandError('InvalidOptions', 'cannot drop _id index');
    const spec = specs.find(({ name, key }) => name === target || encodeValue(key) === encodeValue(target));
    if (!spec) throw new CommandError('IndexNotFound', `index not found with name [${JSON.stringify(target)}]`);
    return spec.name;
  });
  store.dropIndexes(collection, names);
  return { nIndexesWas };
}
