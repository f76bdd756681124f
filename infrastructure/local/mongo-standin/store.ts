// All collections, and the two ways to change them: at once, or inside a transaction that sees a snapshot and keeps its changes to itself.
import { calculateObjectSize, Long, serialize, Timestamp } from 'bson';
import {
  addIndex,
  assertAllUnique,
  type Collection,
  createCollection,
  docKey,
  duplicateKey,
  forkCollection,
  type IndexSpec,
  replaceDoc,
  uniqueRivals,
} from './collection.ts';
import { type Disk, openDisk } from './disk.ts';
import { CommandError, writeConflict } from './errors.ts';
import type { Doc } from './order.ts';

/** Where a command reads and writes. */
export type Unit = {
  collection(ns: string): Collection | undefined;
  /**
   * Puts `next` in the place of `previous`; without `previous` it is an insert, without `next` a removal.
   * @throws DuplicateKey, WriteConflict, or LockHeld before the first change in its database
   */
  write(ns: string, key: string, previous: Doc | undefined, next: Doc | undefined): void;
};

export type Transaction = {
  unit: Unit;
  /** Whether it has changed this document. */
  hasChanged(ns: string, key: string): boolean;
  commit(): void;
  /** Gives the locks back; the changes are forgotten unless they were committed. */
  end(): void;
};

/** Thrown before a command's first change: it is to be run again when another transaction, which has the database's lock, has ended. */
export class LockHeld extends Error {}

export type Store = ReturnType<typeof openStore>;

const maxDocumentBytes = 16 * 1024 * 1024;

export const databaseOf = (ns: string): string => ns.slice(0, ns.indexOf('.'));

export function openStore(dir: string) {
  const disk = openDisk(dir);
  const collections = loadCollections(disk);
  /** Database → the transaction that alone may write in it until it ends. */
  const locks = new Map<string, Transaction>();
  let lockReleased = Promise.withResolvers<void>();
  let nextId = Math.max(0, ...[...collections.values()].map(({ id }) => id)) + 1;

  const direct: Unit = {
    collection: (ns) => collections.get(ns),
    write(ns, key, previous, next) {
      assertUnlocked(databaseOf(ns));
      const collection = collections.get(ns);
      if (next && collection) assertInsertable(collection, key, previous, next);
      put(collection ?? addCollection(ns, {}), key, next, next && toBytes(next));
    },
  };

  function assertUnlocked(database: string): void {
    if (locks.has(database)) throw new LockHeld();
  }

  function put(collection: Collection, key: string, next: Doc | undefined, bytes: Uint8Array | undefined): void {
    replaceDoc(collection, key, next);
    if (bytes) disk.putDoc(collection.id, key, bytes);
    else disk.deleteDoc(collection.id, key);
  }

  function addCollection(ns: string, options: Doc): Collection {
    const collection = createCollection(ns, nextId++, options);
    collections.set(ns, collection);
    saveCollection(collection);
    return collection;
  }

  function saveCollection({ id, ns, options, indexes }: Collection): void {
    disk.putCollection({ id, ns, spec: { options, indexes: indexes.map(({ spec }) => spec) } });
  }

  function beginTransaction(): Transaction {
    const snapshot = new Map([...collections].map(([ns, collection]) => [ns, forkCollection(collection)]));
    const changes = new Map<string, Map<string, { doc: Doc; bytes: Uint8Array } | undefined>>();

    const unit: Unit = {
      collection: (ns) => snapshot.get(ns),
      write(ns, key, previous, next) {
        const holder = locks.get(databaseOf(ns));
        if (holder && holder !== transaction) throw holder.hasChanged(ns, key) ? writeConflict() : new LockHeld();
        locks.set(databaseOf(ns), transaction);

        const own = snapshot.get(ns) ?? createCollection(ns, 0);
        snapshot.set(ns, own);
        const changed = changes.get(ns) ?? new Map();
        changes.set(ns, changed);
        assertUnchanged(own, collections.get(ns), changed, key, next);
        if (next) assertInsertable(own, key, previous, next);
        replaceDoc(own, key, next);
        changed.set(key, next && { doc: next, bytes: toBytes(next) });
      },
    };

    const transaction: Transaction = {
      unit,
      hasChanged: (ns, key) => changes.get(ns)?.has(key) ?? false,
      commit() {
        for (const [ns, changed] of changes) {
          const collection = collections.get(ns) ?? addCollection(ns, {});
          // Removals first: a value of a unique index may have passed from one document to another.
          for (const [key, next] of changed) if (!next) put(collection, key, undefined, undefined);
          for (const [key, next] of changed) if (next) put(collection, key, next.doc, next.bytes);
        }
      },
      end() {
        for (const [database, holder] of locks) if (holder === transaction) locks.delete(database);
        lockReleased.resolve();
        lockReleased = Promise.withResolvers();
      },
    };
    return transaction;
  }

  return {
    collections,
    disk,
    direct,
    beginTransaction,
    /** Settles when a transaction has ended, which may have held the lock. */
    lockReleased: (): Promise<void> => lockReleased.promise,

    create(ns: string, options: Doc): void {
      assertUnlocked(databaseOf(ns));
      addCollection(ns, options);
    },
    drop(ns: string): void {
      const collection = collections.get(ns);
      if (!collection) return;
      assertUnlocked(databaseOf(ns));
      collections.delete(ns);
      disk.deleteCollection(collection.id);
    },
    /** @throws DuplicateKey when an index is unique and the documents are not; none is made then */
    createIndexes(ns: string, specs: IndexSpec[]): void {
      assertUnlocked(databaseOf(ns));
      const collection = collections.get(ns) ?? addCollection(ns, {});
      const before = [...collection.indexes];
      try {
        for (const spec of specs) addIndex(collection, spec);
      } catch (error) {
        collection.indexes = before;
        throw error;
      }
      saveCollection(collection);
    },
    dropIndexes(collection: Collection, names: string[]): void {
      assertUnlocked(databaseOf(collection.ns));
      collection.indexes = collection.indexes.filter(({ spec }) => !names.includes(spec.name));
      collection.version++;
      saveCollection(collection);
    },
  };
}

function loadCollections(disk: Disk): Map<string, Collection> {
  const collections = new Map<string, Collection>();
  for (const { id, ns, spec } of disk.collections()) {
    const collection = createCollection(ns, id, spec.options as Doc);
    for (const doc of disk.docs(id)) collection.docs.set(docKey(doc), doc);
    for (const index of spec.indexes as IndexSpec[]) addIndex(collection, index);
    collections.set(ns, collection);
  }
  return collections;
}

function assertInsertable(collection: Collection, key: string, previous: Doc | undefined, next: Doc): void {
  if (!previous && collection.docs.has(key)) throw duplicateKey(collection.ns, '_id_', { _id: 1 }, next);
  assertAllUnique(collection, key, next);
}

/**
 * Snapshot isolation: whoever changes a document first wins. What has changed since the snapshot may not be overwritten, nor may a
 * value of a unique index be taken that somebody took since.
 */
function assertUnchanged(
  own: Collection,
  main: Collection | undefined,
  changed: ReadonlyMap<string, unknown>,
  key: string,
  next?: Doc,
): void {
  const sameCollection = (main?.id ?? 0) === own.id && (main?.version ?? 0) === own.version;
  const isStale = (each: string) => !changed.has(each) && main?.docs.get(each) !== own.docs.get(each);
  if (!sameCollection || isStale(key)) throw writeConflict();
  if (!next || !main) return;
  for (const index of main.indexes)
    for (const rival of uniqueRivals(index, key, next)) if (isStale(rival)) throw writeConflict();
}

function toBytes(doc: Doc): Uint8Array {
  if (calculateObjectSize(doc) > maxDocumentBytes)
    throw new CommandError('BSONObjectTooLarge', 'The document is larger than 16 MB');
  return serialize(doc);
}

/** The server's logical clock: never goes back, and is never behind a time that a client has seen. */
export function createClock() {
  let last = 0n;
  return {
    tick(): Timestamp {
      const now = BigInt(Math.floor(Date.now() / 1000)) << 32n;
      last = last >= now ? last + 1n : now + 1n;
      return new Timestamp(Long.fromBigInt(last));
    },
    witness(seen: unknown): void {
      if (seen instanceof Timestamp && seen.toBigInt() > last) last = seen.toBigInt();
    },
  };
}
