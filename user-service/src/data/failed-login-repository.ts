// Failed logins and familiar addresses in SQL, by keyed hashes.
import type { Queryable, Transaction } from '@glasshouse/shared/postgres';
import type { Counter, CounterKind } from '../domain/slow-down.ts';

/** How long an address stays familiar after the last login from there. */
const FAMILIAR_FOR = '30 days';
const PURGE_BATCH = 1_000;

/** The names of the counters that a try goes by. */
export type CounterKeys = readonly { key: string; kind: CounterKind }[];

interface CounterRow {
  key: string;
  failures: number;
  next_try_at: Date;
  forget_at: Date;
}

/** Locks those counters that are there, until the transaction ends; always in the same order. */
export async function lockCounters(tx: Transaction, keys: CounterKeys): Promise<Counter[]> {
  const { rows } = await tx.query<CounterRow>(
    `select encode(key, 'hex') as key, failures, next_try_at, forget_at
     from failed_logins where key = any($1::bytea[]) order by failed_logins.key for update`,
    [keys.map(({ key }) => Buffer.from(key, 'hex'))],
  );
  return keys.flatMap(({ key, kind }) => {
    const row = rows.find((candidate) => candidate.key === key);
    return row === undefined
      ? []
      : [{ key, kind, failures: row.failures, nextTryAt: row.next_try_at, forgetAt: row.forget_at }];
  });
}

/** Makes the counters that are not there yet, and locks all until the transaction ends. */
export async function createAndLockCounters(tx: Transaction, keys: CounterKeys): Promise<Counter[]> {
  await tx.query(
    'insert into failed_logins (key) select key from unnest($1::bytea[]) as counter (key) order by key on conflict do nothing',
    [keys.map(({ key }) => Buffer.from(key, 'hex'))],
  );
  return lockCounters(tx, keys);
}

export async function updateCounters(tx: Transaction, counters: readonly Counter[]): Promise<void> {
  await tx.query(
    `update failed_logins set failures = counter.failures, next_try_at = counter.next_try_at, forget_at = counter.forget_at
     from unnest($1::bytea[], $2::integer[], $3::timestamptz[], $4::timestamptz[]) as counter (key, failures, next_try_at, forget_at)
     where failed_logins.key = counter.key`,
    [
      counters.map(({ key }) => Buffer.from(key, 'hex')),
      counters.map(({ failures }) => failures),
      counters.map(({ nextTryAt }) => nextTryAt),
      counters.map(({ forgetAt }) => forgetAt),
    ],
  );
}

export async function deleteCounter(tx: Transaction, key: string): Promise<void> {
  await tx.query('delete from failed_logins where key = $1', [Buffer.from(key, 'hex')]);
}

/** @param key of an account and an address together */
export async function isFamiliar(db: Queryable, key: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `select from familiar_addresses where key = $1 and last_login_at > clock_timestamp() - interval '${FAMILIAR_FOR}'`,
    [Buffer.from(key, 'hex')],
  );
  return rowCount === 1;
}

/** Remembers a login; writes once a day at most. */
export async function makeFamiliar(tx: Transaction, key: string): Promise<void> {
  await tx.query(
    `insert into familiar_addresses (key, last_login_at) values ($1, clock_timestamp())
     on conflict (key) do update set last_login_at = excluded.last_login_at
     where familiar_addresses.last_login_at < clock_timestamp() - interval '1 day'`,
    [Buffer.from(key, 'hex')],
  );
}

/** Forgets failures and addresses that count no more. */
export async function deleteForgotten(db: Queryable): Promise<void> {
  for (const [table, isForgotten] of [
    ['failed_logins', 'forget_at < clock_timestamp()'],
    ['familiar_addresses', `last_login_at < clock_timestamp() - interval '${FAMILIAR_FOR}'`],
  ]) {
    let deleted: number | null;
    do {
      ({ rowCount: deleted } = await db.query(
        `delete from ${table} where key in (select key from ${table} where ${isForgotten} limit $1 for update skip locked)`,
        [PURGE_BATCH],
      ));
    } while (deleted === PURGE_BATCH);
  }
}
