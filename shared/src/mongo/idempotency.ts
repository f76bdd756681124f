// Idempotency keys: the first request with a key changes something, every later one with the same body is answered as the first was.
import { bodyHash, type IdempotentRequest, reusedKey } from '../resilience/index.ts';
import type { Db, Transaction } from './database.ts';

interface KeyDocument {
  _id: string;
  bodyHash: string;
  resourceId: string;
}

const idOf = ({ userId, operation, key }: IdempotentRequest) => `${userId} ${operation} ${key}`;

/**
 * Looks a request up.
 * @returns the id of the resource that it changed before, or undefined where it is new
 * @throws AppError `invalid` where the key was used with another body
 */
export async function findIdempotent(db: Db, request: IdempotentRequest): Promise<string | undefined> {
  const found = await db.collection<KeyDocument>('idempotency_keys').findOne({ _id: idOf(request) }, db.within);
  if (found === null) return undefined;
  if (found.bodyHash !== bodyHash(request.body)) throw reusedKey();
  return found.resourceId;
}

/**
 * Takes the key, in the transaction of the change: a refused request gives it back by its abort. Of two at once, one meets a conflict,
 * is done again, and must then find the other's: look the request up first, in the same transaction.
 */
export async function takeIdempotencyKey(
  tx: Transaction,
  request: IdempotentRequest,
  resourceId: string,
): Promise<void> {
  const document = { _id: idOf(request), bodyHash: bodyHash(request.body), resourceId };
  await tx.collection<KeyDocument>('idempotency_keys').insertOne(document, tx.within);
}
