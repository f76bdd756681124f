// An admin receives units or takes some away; the journal remembers.
import { findIdempotent, inTransaction, takeIdempotencyKey } from '@glasshouse/shared/mongo';
import type { IdempotentRequest } from '@glasshouse/shared/resilience';
import { findProduct, lockProduct } from '../data/product-repository.ts';
import { receiveStock } from '../data/stock-repository.ts';
import type { Deps } from '../deps.ts';
import { productNotFound } from '../domain/errors.ts';
import { type Product, restock } from '../domain/product.ts';

export interface ChangeStock {
  request: IdempotentRequest;
  userId: string;
  productId: string;
  /** Units, negative where they are taken away. */
  delta: number;
  reason: string;
}

/**
 * @returns the product; where the request was made before, as it is now
 * @throws AppError for a product that is not there, for less than no stock or too much, or a key used with another body
 */
export async function changeStock(command: ChangeStock, { db }: Pick<Deps, 'db'>): Promise<Product> {
  const { request, userId, productId, delta, reason } = command;
  return inTransaction(db, async (tx) => {
    const earlier = await findIdempotent(tx, request);
    const changed = earlier && (await findProduct(tx, earlier));
    if (changed) return changed;

    const locked = await lockProduct(tx, productId);
    if (locked === undefined || locked.product.deleted) throw productNotFound();
    const product = restock(locked.product, delta);
    await takeIdempotencyKey(tx, request, productId);
    await receiveStock(tx, { productId, delta, reason, userId, at: locked.now });
    return product;
  });
}
