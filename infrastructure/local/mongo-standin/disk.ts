// What survives the process: every change is in one SQLite transaction with the rest of its commit before it is acknowledged.
import { closeSync, fdatasync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { deserialize, serialize } from 'bson';
import type { Doc } from './order.ts';

export type StoredCollection = { id: number; ns: string; spec: Doc };
export type StoredSession = { lsid: string; txnNumber: number; reply: Doc };

export type Disk = ReturnType<typeof openDisk>;

const schema = `
  create table if not exists collections (id integer primary key, ns text not null unique, spec blob not null);
  create table if not exists docs (collection integer not null, key blob not null, doc blob not null, primary key (collection, key)) without rowid;
  create table if not exists sessions (lsid text primary key, txn_number integer not null, reply blob not null, used_at integer not null) without rowid;
`;

const sync = promisify(fdatasync);

/**
 * Opens the database file in `dir`, which is created. Writes are queued and committed together once per turn of the event loop. The write-ahead log
 * is brought to the disk by another thread: SQLite would do it in this one, and nobody would be answered meanwhile.
 * @throws when another process serves this folder
 */
export function openDisk(dir: string) {
  mkdirSync(dir, { recursive: true });
  const db = new DatabaseSync(join(dir, 'mongo-standin.sqlite'));
  try {
    // The exclusive lock is the operating system's, so it goes with the process, however that ends.
    // `normal`: the log is brought to the disk by us after each commit, and by SQLite before it empties it.
    db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal');
    // Something is written in any case, so that there is a log.
    db.exec(`begin exclusive; ${schema} pragma user_version = 1; commit`);
  } catch (error) {
    db.close();
    throw new Error(`${dir} cannot be opened; is it served by another process?`, { cause: error });
  }
  const log = openSync(join(dir, 'mongo-standin.sqlite-wal'), 'r');
  syncFolder(dir);
  const putDoc = db.prepare('insert or replace into docs values (?, ?, ?)');
  const deleteDoc = db.prepare('delete from docs where collection = ? and key = ?');
  const putCollection = db.prepare('insert or replace into collections values (?, ?, ?)');
  const deleteCollection = db.prepare('delete from collections where id = ?');
  const deleteDocs = db.prepare('delete from docs where collection = ?');
  const putSession = db.prepare('insert or replace into sessions values (?, ?, ?, ?)');
  const deleteSession = db.prepare('delete from sessions where lsid = ?');

  let queue: (() => void)[] = [];
  let isScheduled = false;
  let durable: Promise<void> = Promise.resolve();
  let written = 0;
  let synced = 0;
  let failure: unknown;

  function write(): void {
    const jobs = queue;
    queue = [];
    db.exec('begin');
    for (const job of jobs) job();
    db.exec('commit');
  }

  /** @param before what was written before this, and is perhaps not yet on the disk */
  async function flush(before: Promise<void>): Promise<void> {
    await new Promise(setImmediate);
    isScheduled = false;
    // After a failure memory and disk differ: nothing more is written, and nothing may be acknowledged any more.
    if (failure !== undefined) throw failure;
    try {
      write();
      const own = ++written;
      await before;
      // One that was waited for may have brought this to the disk as well.
      if (synced >= own) return;
      const all = written;
      await sync(log);
      synced = all;
    } catch (error) {
      failure ??= error;
      throw error;
    }
  }

  function enqueue(job: () => void): void {
    queue.push(job);
    if (isScheduled) return;
    isScheduled = true;
    durable = flush(durable);
    durable.catch(() => {});
  }

  return {
    /** Settles when everything written so far is on disk; rejects, from then on always, if that failed. */
    durable: (): Promise<void> => durable,

    /** Whether anything is yet to be written. */
    isDirty: (): boolean => queue.length > 0,

    putDoc(collection: number, key: string, doc: Uint8Array): void {
      enqueue(() => putDoc.run(collection, keyBytes(key), doc));
    },
    deleteDoc(collection: number, key: string): void {
      enqueue(() => deleteDoc.run(collection, keyBytes(key)));
    },
    putCollection({ id, ns, spec }: StoredCollection): void {
      const bytes = serialize(spec);
      enqueue(() => putCollection.run(id, ns, bytes));
    },
    deleteCollection(id: number): void {
      enqueue(() => {
        deleteCollection.run(id);
        deleteDocs.run(id);
      });
    },
    putSession({ lsid, txnNumber, reply }: StoredSession): void {
      const bytes = serialize(reply);
      enqueue(() => putSession.run(lsid, txnNumber, bytes, Date.now()));
    },
    deleteSession(lsid: string): void {
      enqueue(() => deleteSession.run(lsid));
    },

    collections(): StoredCollection[] {
      return db
        .prepare('select id, ns, spec from collections')
        .all()
        .map((row) => ({ id: Number(row.id), ns: String(row.ns), spec: deserialize(row.spec as Uint8Array) }));
    },
    *docs(collection: number): Generator<Doc> {
      for (const row of db.prepare('select doc from docs where collection = ? order by key').iterate(collection)) {
        yield deserialize(row.doc as Uint8Array);
      }
    },
    sessions(usedAfter: number): StoredSession[] {
      db.prepare('delete from sessions where used_at < ?').run(usedAfter);
      return db
        .prepare('select lsid, txn_number, reply from sessions')
        .all()
        .map((row) => ({
          lsid: String(row.lsid),
          txnNumber: Number(row.txn_number),
          reply: deserialize(row.reply as Uint8Array),
        }));
    },
    async close(): Promise<void> {
      await durable.catch(() => {});
      db.close();
      closeSync(log);
    },
  };
}

/** Keys hold any 16-bit character, also lone surrogates, which UTF-8 cannot carry. */
const keyBytes = (key: string): Buffer => Buffer.from(key, 'utf16le');

/** The names of its files are in it. */
function syncFolder(dir: string): void {
  const folder = openSync(dir, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
