// Idempotency keys: the first request with a key makes the resource, every later one with the same body is answered with it.
import { bodyHash, type IdempotentRequest, reusedKey } from '../resilience/index.ts';
import type { Queryable, Transaction } from './database.ts';

/**
 * Looks a request up.
 * @returns the id of the resource that it made before, or undefined where it is new
 * @throws AppError `invalid` where the key was used with another body
 */
export async function findIdempotent(db: Queryable, request: IdempotentRequest): Promise<string | undefined> {
  const { rows } = await db.query<{ body_hash: string; resource_id: string }>(
    'select body_hash, resource_id from idempotency_keys where user_id = $1 and operation = $2 and key = $3',
    [request.userId, request.operation, request.key],
  );
  const [found] = rows;
  if (found !== undefined && found.body_hash !== bodyHash(request.body)) throw reusedKey();
  return found?.resource_id;
}

/**
 * Takes the key for `resourceId`, in the transaction that makes the resource: a refused request gives it back by its rollback.
 * @returns the id of the resource that a request made which arrived at the same time, or undefined where the key is ours
 */
export async function takeIdempotencyKey(
  tx: Transaction,
  request: IdempotentRequest,
  resourceId: string,
): Promise<string | undefined> {
  const { rowCount } = await tx.query(
    'insert into idempotency_keys (user_id, operation, key, body_hash, resource_id) values ($1, $2, $3, $4, $5) on conflict do nothing',
    [request.userId, request.operation, request.key, bodyHash(request.body), resourceId],
  );
  return rowCount === 1 ? undefined : findIdempotent(tx, request);
}
