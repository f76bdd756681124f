// What those who watch see of a statement: a span and its duration, by https://opentelemetry.io/docs/specs/semconv/database/postgresql/.
import type pg from 'pg';
import { durationHistogram, errorTypeOf, gauge, inSpan, SpanKind } from '../telemetry/index.ts';

const recordOperation = durationHistogram('db.client.operation.duration', 'Duration of database client operations.');

interface Statement {
  name: string;
  operation: { 'db.system.name': string; 'db.operation.name': string };
  attributes: Record<string, string>;
}

/** By text. The texts are constants of the code, but for a list's conditions, and so there are not many. */
const statements = new Map<string, Statement>();

/** What a statement does, and to which table: values are never part of its text, which can be shown. */
function statementOf(text: string): Statement {
  const known = statements.get(text);
  if (known !== undefined) return known;
  const [verb = ''] = /^\s*\w+/.exec(text) ?? [];
  const [, table] = /\b(?:from|into|update)\s+([a-z_]+)/i.exec(text) ?? [];
  const operation = { 'db.system.name': 'postgresql', 'db.operation.name': verb.trim().toUpperCase() };
  const attributes = {
    ...operation,
    ...(table !== undefined && { 'db.collection.name': table }),
    'db.query.text': text.replace(/\s+/g, ' ').trim(),
  };
  const name = [operation['db.operation.name'], table].filter(Boolean).join(' ');
  const statement = { name, operation, attributes };
  statements.set(text, statement);
  return statement;
}

/** Runs a statement as a step of the work under way. */
export async function watchStatement<T>(text: string, run: () => Promise<T>): Promise<T> {
  const { name, operation, attributes } = statementOf(text);
  const startedAt = performance.now();
  const record = (error?: { 'error.type': string }) =>
    recordOperation((performance.now() - startedAt) / 1000, { ...operation, ...error });
  try {
    const result = await inSpan({ name, kind: SpanKind.CLIENT, attributes }, run);
    record();
    return result;
  } catch (error) {
    record({ 'error.type': errorTypeOf(error) });
    throw error;
  }
}

/** https://opentelemetry.io/docs/specs/semconv/database/database-metrics/ */
export function observePool(pool: pg.Pool, name: string): void {
  const of = { 'db.client.connection.pool.name': name };
  gauge('db.client.connection.count', '{connection}', 'Connections, by state.', () => [
    [pool.idleCount, { ...of, 'db.client.connection.state': 'idle' }],
    [pool.totalCount - pool.idleCount, { ...of, 'db.client.connection.state': 'used' }],
  ]);
  gauge('db.client.connection.max', '{connection}', 'Connections that there may be.', () => [[pool.options.max, of]]);
  gauge('db.client.connection.pending_requests', '{request}', 'Requests that wait for a connection.', () => [
    [pool.waitingCount, of],
  ]);
}
