// The connection pool of a service's own PostgreSQL database, and transactions on it.
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { classifyFailure, isDuplicateKey } from '../errors/index.ts';
import type { OutboxRow } from '../event-bus/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { observePool } from '../telemetry/index.ts';
import { runStatement } from './statements.ts';

// Amounts are integers below 2^53: read bigint as a number.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/** What both the pool and a transaction can do. */
export interface Queryable {
  query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<pg.QueryResult<R>>;
}

export interface Database extends Queryable, Part {
  kind: 'database';
  service: string;
  pool: pg.Pool;
  /** Told of the outbox rows of each transaction, right after its commit. */
  outboxListeners: ((rows: OutboxRow[]) => void)[];
  /** Whether it answers now. */
  isUp(): Promise<boolean>;
}

export interface Transaction extends Queryable {
  kind: 'transaction';
  service: string;
  /** The database's clock at the start of this transaction. */
  now: Date;
  /** The database's clock at this moment: at the start, and what has passed since, however long it waited for a lock. */
  clock(): Date;
  /** Runs `action` once the transaction has been committed, and only then. */
  afterCommit(action: () => void): void;
  outboxRows: OutboxRow[];
}

export type Db = Database | Transaction;

/** Neither a process that hangs nor one that died may hold a lock for longer than this. */
const SESSION_LIMIT_MS = 5_000;
const LOCK_LIMIT_MS = 4_000;
const DUPLICATE_KEY_ATTEMPTS = 5;
/** How long an HTTP request may contend before its client is asked to come back. */
const CONTENTION_LIMIT_MS = 20_000;

/**
 * A condition for what is sent together with the beginning of a transaction: should that fail, it would be a transaction of its own, and may change
 * nothing.
 */
export const HAS_BEGUN = "current_setting('glasshouse.transaction', true) = 'begun'";

const BEGIN = "begin; select clock_timestamp() as now, set_config('glasshouse.transaction', 'begun', true)";

const IN_FAILED_TRANSACTION = '25P02';

/** @param url postgres://role:password@host:port/database */
export function createDatabase(options: {
  url: string;
  service: string;
  logger: Logger;
  maxConnections?: number;
}): Database {
  const { url, service, logger, maxConnections = 20 } = options;
  const pool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    application_name: service,
    connectionTimeoutMillis: SESSION_LIMIT_MS,
    idle_in_transaction_session_timeout: SESSION_LIMIT_MS,
    // Shorter than the statement's, which would end a wait for a lock as well and look like another failure.
    lock_timeout: LOCK_LIMIT_MS,
    statement_timeout: SESSION_LIMIT_MS,
    query_timeout: 2 * SESSION_LIMIT_MS,
    // Statements that don't wait for each other go out together (https://node-postgres.com/features/pipelining); they run in the order of asking.
    pipeline: true,
    keepAlive: true,
  });
  observePool(service, maxConnections, () => ({
    idle: pool.idleCount,
    used: pool.totalCount - pool.idleCount,
    waiting: pool.waitingCount,
  }));
  pool.on('error', (error) => logger.warn('an idle database connection was lost', { error: error.message }));
  // One that is lost while it is in use, or just being handed on, tells so by an event as well, which would end the process where nobody
  // listens. Whoever uses it hears of it from their statements, and the pool takes none back that is of no more use.
  pool.on('connect', (client) => client.on('error', () => {}));
  return {
    kind: 'database',
    name: 'database',
    service,
    pool,
    outboxListeners: [],
    query: (text, values) => runStatement(pool, text, values),
    async isUp() {
      return pool.query('select 1').then(
        () => true,
        () => false,
      );
    },
    async start() {},
    stop: () => pool.end(),
  };
}

const codeOf = (error: unknown) => (error as { code?: unknown } | null)?.code;

/** A statement with its values. */
export interface Statement {
  text: string;
  values: unknown[];
}

async function attempt<T>(
  database: Database,
  work: (tx: Transaction, first: pg.QueryResult | undefined) => Promise<T>,
  firstStatement: Statement | undefined,
): Promise<T> {
  const client = await database.pool.connect();
  const actions: (() => void)[] = [];
  let broken: Error | undefined;
  let hasEnded = false;
  let firstFailure: unknown;
  try {
    // All in one round trip; pg answers the first text, which is two statements, with one result each.
    // Before, not after: how long the answer lies here unread is nothing to the database.
    const begunAt = performance.now();
    const [begun, first] = await Promise.all([
      runStatement(client, BEGIN) as Promise<unknown> as Promise<pg.QueryResult<{ now: Date }>[]>,
      firstStatement && runStatement(client, firstStatement.text, firstStatement.values),
    ]);
    const now = begun[1]?.rows[0]?.now ?? new Date();
    const tx: Transaction = {
      kind: 'transaction',
      service: database.service,
      now,
      clock: () => new Date(now.getTime() + performance.now() - begunAt),
      async query(text, values) {
        // Of several statements that went out together one may have failed: what would follow another must not run outside.
        if (hasEnded) throw new Error('this transaction has ended');
        try {
          return await runStatement(client, text, values);
        } catch (error) {
          firstFailure ??= error;
          throw error;
        }
      },
      afterCommit: (action) => actions.push(action),
      outboxRows: [],
    };
    const result = await work(tx, first);
    // The server would answer a commit with a rollback, and no error.
    if (firstFailure !== undefined) throw firstFailure;
    hasEnded = true;
    await runStatement(client, 'commit');
    if (tx.outboxRows.length > 0) for (const listener of database.outboxListeners) listener(tx.outboxRows);
    for (const action of actions) action();
    return result;
  } catch (thrown) {
    hasEnded = true;
    // Of several statements that went out together, one that came behind the one that failed may be heard of first.
    const error = codeOf(thrown) === IN_FAILED_TRANSACTION ? firstFailure : thrown;
    await client.query('rollback').catch((failure) => {
      broken = failure;
    });
    // What it keeps prepared is of no more use.
    if (codeOf(error) === '0A000') broken = error as Error;
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * Runs `work` in a transaction (read committed), or within the one that is open. Where another transaction was faster (serialization failure,
 * deadlock, duplicate key, lock time-out) the work is done again, after a jittered pause. Committed once it resolves.
 * @param firstStatement goes out together with the beginning, under the condition `HAS_BEGUN`; `work` gets its result
 */
export async function inTransaction<T>(
  db: Db,
  work: (tx: Transaction, first: pg.QueryResult | undefined) => Promise<T>,
  firstStatement?: Statement,
): Promise<T> {
  if (db.kind === 'transaction')
    return work(db, firstStatement && (await db.query(firstStatement.text, firstStatement.values)));
  const startedAt = performance.now();
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt(db, work, firstStatement);
    } catch (error) {
      if (classifyFailure(error) !== 'contention') throw error;
      if (isDuplicateKey(error) && tries >= DUPLICATE_KEY_ATTEMPTS) throw error;
      if (performance.now() - startedAt > CONTENTION_LIMIT_MS) throw error;
      await delay(Math.random() * Math.min(200, 5 * 2 ** tries));
    }
  }
}
