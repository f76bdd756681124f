// A route as data: method, path, who may call it, the schemas of what comes in and goes out, and the handler.
import { z } from 'zod';
import type { Identity } from '../auth/index.ts';
import { AppError } from '../errors/index.ts';

export type Access = 'anyone' | 'user' | 'admin';

export interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

/** The names after the colons in a path. */
type ParamsOf<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
  ? Record<Name, string> & ParamsOf<Rest>
  : P extends `${string}:${infer Name}`
    ? Record<Name, string>
    : unknown;

interface Call<P, B, Q, I> {
  params: P;
  body: B;
  query: Q;
  /** Who calls; absent only where anyone may. */
  user: I;
  /** The Idempotency-Key, on routes that want one. */
  idempotencyKey: string;
  /** Method and path with its ids: the scope of an Idempotency-Key. */
  operation: string;
}

export interface Route {
  method: 'get' | 'post' | 'patch' | 'delete';
  path: string;
  access: Access;
  summary: string;
  body?: z.ZodType;
  query?: z.ZodType;
  /** Whether the call needs an Idempotency-Key. */
  idempotent: boolean;
  /** The body of each answer that is not a problem, by status; null where it has none. */
  answers: Record<number, z.ZodType | null>;
  handle(call: Call<Record<string, string>, unknown, unknown, Identity>): Promise<Answer>;
}

/** One row of a service's URL table. A path parameter named `id` or `…Id` has to be a UUID: anything else is a 404. */
export function route<
  const P extends string,
  A extends Access,
  B extends z.ZodType = z.ZodUndefined,
  Q extends z.ZodType = z.ZodObject<Record<never, never>>,
>(row: {
  method: Route['method'];
  path: P;
  access: A;
  summary: string;
  body?: B;
  query?: Q;
  idempotent?: boolean;
  answers: Route['answers'];
  handle: (
    call: Call<ParamsOf<P>, z.output<B>, z.output<Q>, A extends 'anyone' ? undefined : Identity>,
  ) => Promise<Answer>;
}): Route {
  return { ...row, idempotent: row.idempotent ?? false, handle: row.handle as unknown as Route['handle'] };
}

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const created = (body: unknown, location: string): Answer => ({
  status: 201,
  body,
  headers: { Location: location },
});
export const accepted = (body: unknown): Answer => ({ status: 202, body });
export const noContent = (): Answer => ({ status: 204 });

// What the schemas of all services are made of.

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const controlCharacters = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

/** Text that a person typed: trimmed, no control characters (PostgreSQL takes no NUL), no half of a surrogate pair. */
export const text = (min: number, max: number) =>
  z
    .string()
    .trim()
    .min(min)
    .max(max)
    .refine((value) => value.isWellFormed() && !controlCharacters.test(value), {
      message: 'has characters that are not allowed',
    });

const currencies = new Set(Intl.supportedValuesOf('currency'));

/** A price: at least one minor unit, for nobody can be charged nothing. */
export const money = z.strictObject({
  amount: z.int().positive().max(99_999_999),
  currency: z.string().refine((code) => currencies.has(code), { message: 'is not an ISO 4217 code' }),
});

/** A list's page size, 1–100, and where the page before ended. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().min(1).max(500).optional(),
};

/** A page of a list. */
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

/**
 * Cuts a page from one row more than fits on it.
 * @param cursorOf the place of a row in the list's order, anything that JSON can hold
 */
export function toPage<T>(rows: T[], limit: number, cursorOf: (row: T) => unknown): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items, nextCursor: more ? Buffer.from(JSON.stringify(cursorOf(last))).toString('base64url') : null };
}

/**
 * Where the page before ended, as `toPage` wrote it; undefined on the first page.
 * @throws AppError `malformed` where the cursor is not one of ours
 */
export function readCursor<S extends z.ZodType>(cursor: string | undefined, schema: S): z.output<S> | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch {
    throw new AppError('malformed', 'query.invalid', 'The cursor is not one of ours.');
  }
}
