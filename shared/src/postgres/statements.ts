// Statements, and what those who watch see of each: a span and its duration, by https://opentelemetry.io/docs/specs/semconv/database/postgresql/.
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { durationHistogram, errorTypeOf, inSpan, type SpanDescription, SpanKind } from '../telemetry/index.ts';

const recordOperation = durationHistogram('db.client.operation.duration', 'Duration of database client operations.');

interface Statement {
  /** Under which a connection keeps it prepared: parsed and planned once, it takes the server half the time. */
  prepared: string;
  span: SpanDescription;
  operation: { 'db.system.name': string; 'db.operation.name': string };
}

/** By text. The texts are constants of the code, but for a list's conditions, and so there are not many. */
const statements = new Map<string, Statement>();

/** What a statement does, and to which table: values are never part of its text, which can be shown. */
function statementOf(text: string): Statement {
  const known = statements.get(text);
  if (known !== undefined) return known;
  let outer = text;
  for (let inner = ''; inner !== outer; ) {
    inner = outer;
    outer = outer.replace(/\([^()]*\)/g, '');
  }
  const [verb = ''] = /\b(select|insert|update|delete|begin|commit|rollback)\b/i.exec(outer) ?? [];
  const [, table] = /\b(?:from|into|update)\s+([a-z_]+)/i.exec(outer) ?? [];
  const operation = { 'db.system.name': 'postgresql', 'db.operation.name': verb.toUpperCase() };
  const attributes = {
    ...operation,
    ...(table !== undefined && { 'db.collection.name': table }),
    'db.query.text': text.replace(/\s+/g, ' ').trim(),
  };
  const statement = {
    prepared: createHash('sha256').update(text).digest('base64url').slice(0, 22),
    span: { name: [verb.toUpperCase(), table].filter(Boolean).join(' '), kind: SpanKind.CLIENT, attributes },
    operation,
  };
  statements.set(text, statement);
  return statement;
}

/** Runs a statement as a step of the work under way; one that has values is kept prepared by its connection. */
export async function runStatement<R extends pg.QueryResultRow>(
  on: pg.Pool | pg.PoolClient,
  text: string,
  values?: unknown[],
): Promise<pg.QueryResult<R>> {
  const { prepared, span, operation } = statementOf(text);
  const startedAt = performance.now();
  const record = (error?: { 'error.type': string }) =>
    recordOperation((performance.now() - startedAt) / 1000, { ...operation, ...error });
  try {
    const run = () => (values === undefined ? on.query<R>(text) : on.query<R>({ name: prepared, text, values }));
    const result = await inSpan(span, run);
    record();
    return result;
  } catch (error) {
    record({ 'error.type': errorTypeOf(error) });
    throw error;
  }
}
