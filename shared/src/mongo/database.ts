// The connection to a service's own MongoDB database (a replica set, of one node at least), and transactions on it.
import { setTimeout as delay } from 'node:timers/promises';
import { type ClientSession, type Collection, type Document, type Db as DriverDb, MongoClient } from 'mongodb';
import './closing-sockets.ts';
import { classifyFailure, isDuplicateKey } from '../errors/index.ts';
import type { OutboxRow } from '../event-bus/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { backoffMs } from '../resilience/index.ts';
import { observePool } from '../telemetry/index.ts';
import { countConnections, watchCommands } from './watch.ts';

interface Access {
  service: string;
  collection<D extends Document>(name: string): Collection<D>;
  /** To be spread into the options of every operation: the session, where there is a transaction. */
  within: { session?: ClientSession };
}

export interface Database extends Access, Part {
  kind: 'database';
  client: MongoClient;
  db: DriverDb;
  /** Told of the outbox rows of each transaction, right after its commit. */
  outboxListeners: ((rows: OutboxRow[]) => void)[];
  /** Whether it answers now. */
  isUp(): Promise<boolean>;
}

export interface Transaction extends Access {
  kind: 'transaction';
  /** Runs `action` once the transaction has been committed, and only then. */
  afterCommit(action: () => void): void;
  outboxRows: OutboxRow[];
}

export type Db = Database | Transaction;

const LIMIT_MS = 5_000;
const DUPLICATE_KEY_ATTEMPTS = 5;
const COMMIT_ATTEMPTS = 5;
/** How long an HTTP request may contend before its client is asked to come back. */
const CONTENTION_LIMIT_MS = 20_000;

/** @param url mongodb://…/database; the database's name is in the path */
export function createDatabase(options: {
  url: string;
  service: string;
  logger: Logger;
  maxConnections?: number;
}): Database {
  const { url, service, logger, maxConnections = 20 } = options;
  const client = new MongoClient(url, {
    appName: service,
    maxPoolSize: maxConnections,
    serverSelectionTimeoutMS: LIMIT_MS,
    connectTimeoutMS: LIMIT_MS,
    waitQueueTimeoutMS: LIMIT_MS,
    socketTimeoutMS: 2 * LIMIT_MS,
    writeConcern: { w: 'majority', journal: true },
    readConcern: { level: 'majority' },
    ignoreUndefined: true,
    monitorCommands: true,
  });
  watchCommands(client);
  observePool(service, maxConnections, countConnections(client));
  client.on('error', (error) => logger.warn('database error', { error }));
  const db = client.db();
  let stopped = false;
  /** Once it has been connected the driver finds its server again by itself; after a first attempt that failed it never tries again. */
  const connect = async () => {
    for (let attempt = 0; !stopped; attempt += 1) {
      try {
        await client.connect();
        // Stopped before the driver had anything to close.
        if (stopped) await client.close();
        return;
      } catch (error) {
        if (stopped) return;
        logger.warn('the database could not be reached yet', { error });
        await delay(200 + backoffMs(attempt, 200, 3_000), undefined, { ref: false });
      }
    }
  };
  return {
    kind: 'database',
    name: 'database',
    service,
    client,
    db,
    within: {},
    outboxListeners: [],
    collection: (name) => db.collection(name),
    async isUp() {
      return db.command({ ping: 1 }).then(
        () => true,
        () => false,
      );
    },
    async start() {
      // Without a database a service lives, and is not ready.
      void connect();
    },
    async stop() {
      stopped = true;
      await client.close();
    },
  };
}

/** A commit may be asked for again until its outcome is known: https://www.mongodb.com/docs/manual/core/transactions-in-applications/ */
async function commit(session: ClientSession): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await session.commitTransaction();
    } catch (error) {
      const labelled = error as Error & { hasErrorLabel?: (label: string) => boolean };
      if (tries >= COMMIT_ATTEMPTS || labelled.hasErrorLabel?.('UnknownTransactionCommitResult') !== true) throw error;
      await delay(Math.random() * 50 * tries);
    }
  }
}

async function attempt<T>(database: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const session = database.client.startSession();
  const actions: (() => void)[] = [];
  try {
    session.startTransaction({ readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority', journal: true } });
    const tx: Transaction = {
      kind: 'transaction',
      service: database.service,
      within: { session },
      collection: (name) => database.db.collection(name),
      afterCommit: (action) => actions.push(action),
      outboxRows: [],
    };
    const result = await work(tx);
    await commit(session);
    if (tx.outboxRows.length > 0) for (const listener of database.outboxListeners) listener(tx.outboxRows);
    for (const action of actions) action();
    return result;
  } catch (error) {
    if (session.inTransaction()) await session.abortTransaction().catch(() => {});
    throw error;
  } finally {
    await session.endSession();
  }
}

/**
 * Runs `work` in a transaction (snapshot), or within the one that is open. Where another transaction was faster (write conflict, duplicate key)
 * the work is done again, after a jittered pause. Committed, by a majority and in the journal, once it resolves.
 */
export async function inTransaction<T>(db: Db, work: (tx: Transaction) => Promise<T>): Promise<T> {
  if (db.kind === 'transaction') return work(db);
  const startedAt = performance.now();
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(db, work);
    } catch (error) {
      if (classifyFailure(error) !== 'contention') throw error;
      if (isDuplicateKey(error) && tries >= DUPLICATE_KEY_ATTEMPTS) throw error;
      if (performance.now() - startedAt > CONTENTION_LIMIT_MS) throw error;
      await delay(Math.random() * Math.min(200, 5 * 2 ** tries));
    }
  }
}
