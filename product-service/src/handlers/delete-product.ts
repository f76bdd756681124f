// An admin takes a product out of the catalogue. Its document and its stock stay: orders may still hold, buy and return units of it.
import { appendToOutbox, inTransaction } from '@glasshouse/shared/mongo';
import { removeFromCategory } from '../data/category-repository.ts';
import { lockProduct, writeProduct } from '../data/product-repository.ts';
import type { Deps } from '../deps.ts';
import { productNotFound } from '../domain/errors.ts';
import { remove } from '../domain/product.ts';

/** @throws AppError `not-found`, also where the product is deleted already */
export async function deleteProduct(command: { productId: string }, { db }: Pick<Deps, 'db'>): Promise<void> {
  await inTransaction(db, async (tx) => {
    const locked = await lockProduct(tx, command.productId);
    if (locked === undefined || locked.product.deleted) throw productNotFound();
    const { product, events } = remove(locked.product, locked.now);
    await removeFromCategory(tx, product.category);
    await writeProduct(tx, product);
    await appendToOutbox(tx, events, locked.now);
  });
}
