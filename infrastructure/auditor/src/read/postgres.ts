// A service's PostgreSQL database, read only.
import pg from 'pg';
import { reading } from './source.ts';

const LIMIT_MS = 60_000;
const ROWS_AT_ONCE = 5_000;

// Amounts and counts are integers below 2^53: read bigint as a number.
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format),
} as pg.CustomTypesConfig;

export interface PostgresSource {
  rows<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<R[]>;
  /** All reads of `work` see the same moment. */
  inSnapshot<T>(work: (snapshot: PostgresSnapshot) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface PostgresSnapshot {
  rows<R extends pg.QueryResultRow>(text: string): Promise<R[]>;
  /** One row after the other, fetched in batches, so that a large result is never in memory twice. */
  stream<R extends pg.QueryResultRow>(text: string): AsyncGenerator<R>;
}

/** @throws Unreachable, as do all reads */
export async function openPostgres(name: string, url: string): Promise<PostgresSource> {
  const source = `${name}'s database`;
  const client = new pg.Client({
    connectionString: url,
    application_name: 'auditor',
    connectionTimeoutMillis: 5_000,
    statement_timeout: LIMIT_MS,
    query_timeout: LIMIT_MS + 5_000,
    // Whatever the role may do, this session changes nothing.
    options: '-c default_transaction_read_only=on',
    types,
  });
  // A lost connection is told by the query that meets it.
  client.on('error', () => {});
  await reading(source, url, () => client.connect());

  async function query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<R[]> {
    const { rows } = await reading(source, url, () => client.query<R>(text, values));
    return rows;
  }

  async function* stream<R extends pg.QueryResultRow>(text: string): AsyncGenerator<R> {
    await query(`declare reader no scroll cursor for ${text}`);
    for (;;) {
      const rows = await query<R>(`fetch ${ROWS_AT_ONCE} from reader`);
      yield* rows;
      if (rows.length < ROWS_AT_ONCE) break;
    }
    await query('close reader');
  }

  return {
    rows: query,
    async inSnapshot(work) {
      await query('begin isolation level repeatable read read only');
      const result = await work({ rows: query, stream });
      await query('commit');
      return result;
    },
    close: () => client.end().catch(() => {}),
  };
}
