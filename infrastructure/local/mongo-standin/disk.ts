// What survives the process: every change is in one SQLite transaction with the rest of its commit before it is acknowledged.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
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

/**
 * Opens the database file in `dir`, which is created. Writes are queued and committed together once per turn of the event loop.
 * @throws when another process serves this folder
 */
export function openDisk(dir: string) {
  mkdirSync(dir, { recursive: true });
  const db = new DatabaseSync(join(dir, 'mongo-standin.sqlite'));
  try {
    // The exclusive lock is the operating system's, so it goes with the process, however that ends.
    db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full');
    db.exec(`begin exclusive; ${schema} commit`);
  } catch (error) {
    db.close();
    throw new Error(`${dir} cannot be opened; is it served by another process?`, { cause: error });
  }
  const putDoc = db.prepare('insert or replace into docs values (?, ?, ?)');
  const deleteDoc = db.prepare('delete from docs where collection = ? and key = ?');
  const putCollection = db.prepare('insert or replace into collections values (?, ?, ?)');
  const deleteCollection = db.prepare('delete from collections where id = ?');
  const deleteDocs = db.prepare('delete from docs where collection = ?');
  const putSession = db.prepare('insert or replace into sessions values (?, ?, ?, ?)');
  const deleteSession = db.prepare('delete from sessions where lsid = ?');

  let queue: (() => void)[] = [];
  let flushing: Promise<void> | undefined;

  function flush(): void {
    const jobs = queue;
    queue = [];
    db.exec('begin');
    for (const job of jobs) job();
    db.exec('commit');
  }

  function enqueue(job: () => void): void {
    queue.push(job);
    flushing ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          flush();
          // Left in place after a failure: memory and disk differ then, and nothing may be acknowledged any more.
          flushing = undefined;
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  return {
    /** Settles when everything written so far is on disk; rejects, from then on always, if that failed. */
    durable: (): Promise<void> => flushing ?? Promise.resolve(),

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
      await flushing?.catch(() => {});
      db.close();
    },
  };
}

/** Keys hold any 16-bit character, also lone surrogates, which UTF-8 cannot carry. */
const keyBytes = (key: string): Buffer => Buffer.from(key, 'utf16le');
