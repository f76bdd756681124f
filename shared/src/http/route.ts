// A route as data: method, path, who may call it, the schemas of what comes in and goes out, and the handler.
import type { z } from 'zod';
import type { Identity } from '../auth/index.ts';
import type { KnownError } from './problem.ts';

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
  /** The caller's IP address, as the gateway tells it. */
  clientIp: string;
}

export interface Route {
  method: 'get' | 'post' | 'patch' | 'delete';
  path: string;
  access: Access;
  /** What the call is named in the API document, and in what is made from it. */
  operationId: string;
  summary: string;
  body?: z.ZodType;
  query?: z.ZodType;
  /** Whether the call needs an Idempotency-Key. */
  idempotent: boolean;
  /** The body of each answer that is not a problem, by status; null where it has none. */
  answers: Record<number, z.ZodType | null>;
  /** What the handler may refuse or fail with, one example each; what is checked before it comes on top. */
  problems: readonly KnownError[];
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
  operationId: string;
  summary: string;
  body?: B;
  query?: Q;
  idempotent?: boolean;
  answers: Route['answers'];
  problems?: Route['problems'];
  handle: (
    call: Call<ParamsOf<P>, z.output<B>, z.output<Q>, A extends 'anyone' ? undefined : Identity>,
  ) => Promise<Answer>;
}): Route {
  const handle = row.handle as unknown as Route['handle'];
  return { ...row, idempotent: row.idempotent ?? false, problems: row.problems ?? [], handle };
}

export const ok = (body: unknown): Answer => ({ status: 200, body });
export const created = (body: unknown, location: string): Answer => ({
  status: 201,
  body,
  headers: { Location: location },
});
export const accepted = (body: unknown): Answer => ({ status: 202, body });
export const noContent = (): Answer => ({ status: 204 });
