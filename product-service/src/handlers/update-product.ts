// An admin changes a catalogue entry: name, description, category or price.
import { appendToOutbox, inTransaction } from '@glasshouse/shared/mongo';
import { addToCategory, removeFromCategory } from '../data/category-repository.ts';
import { lockProduct, writeProduct } from '../data/product-repository.ts';
import type { Deps } from '../deps.ts';
import { nameOfCategory } from '../domain/category.ts';
import { productNotFound } from '../domain/errors.ts';
import { type CatalogueEntry, type Product, revise } from '../domain/product.ts';

export type UpdateProduct = { [K in keyof CatalogueEntry]?: CatalogueEntry[K] | undefined } & {
  productId: string;
  /** The one that the admin has seen. */
  version: number;
};

/** @throws AppError `not-found`, also where the product is deleted; `conflict` where somebody else has changed it meanwhile */
export async function updateProduct(command: UpdateProduct, { db }: Pick<Deps, 'db'>): Promise<Product> {
  const { productId, version, ...changes } = command;
  return inTransaction(db, async (tx) => {
    const locked = await lockProduct(tx, productId);
    if (locked === undefined || locked.product.deleted) throw productNotFound();
    const { product, events } = revise(locked.product, changes, version, locked.now);
    if (product.category !== locked.product.category) {
      await removeFromCategory(tx, locked.product.category);
      await addToCategory(tx, { id: product.category, name: nameOfCategory(product.category) });
    }
    await writeProduct(tx, product);
    await appendToOutbox(tx, events, locked.now);
    return product;
  });
}
