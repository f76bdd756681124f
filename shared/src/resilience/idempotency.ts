// What an idempotency key stands for: whose it is, for which call, with which body.
import { createHash } from 'node:crypto';
import { AppError } from '../errors/index.ts';

/** Whose request it is: a key means something only for one user and one operation (method and path with its ids). */
export interface IdempotentRequest {
  userId: string;
  operation: string;
  key: string;
  /** The body after validation. */
  body: unknown;
}

/** JSON with sorted keys: the same for equal values, in whatever order they were sent. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

export function bodyHash(body: unknown): string {
  return createHash('sha256').update(canonicalJson(body)).digest('hex');
}

export function reusedKey(): AppError {
  return new AppError('invalid', 'idempotency-key.reused', 'This Idempotency-Key was used with another body.');
}
