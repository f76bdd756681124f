// An admin brings a new product into the catalogue, with the units that are there from the start.
import { randomUUIDv7 } from 'node:crypto';
import { appendToOutbox, inTransaction, type Transaction } from '@glasshouse/shared/mongo';
import { addToCategory } from '../data/category-repository.ts';
import { beginProduct, insertProduct } from '../data/product-repository.ts';
import { receiveStock } from '../data/stock-repository.ts';
import type { Deps } from '../deps.ts';
import { nameOfCategory } from '../domain/category.ts';
import { type CatalogueEntry, create, type Product } from '../domain/product.ts';

export interface CreateProduct extends CatalogueEntry {
  userId: string;
  stock: number;
}

export async function createProduct(command: CreateProduct, { db }: Pick<Deps, 'db'>): Promise<Product> {
  const { userId, name, description, category, price, stock } = command;
  const entry = { id: randomUUIDv7(), name, description, category, price, stock };
  return inTransaction(db, (tx) => addProduct(tx, entry, { reason: 'initial stock', userId }));
}

/** Adds a product with its stock to the catalogue, and tells it. */
export async function addProduct(
  tx: Transaction,
  entry: CatalogueEntry & Pick<Product, 'id' | 'stock'>,
  receipt: { reason: string; userId?: string },
): Promise<Product> {
  const now = await beginProduct(tx, entry.id);
  const { product, events } = create(entry, now);
  await addToCategory(tx, { id: product.category, name: nameOfCategory(product.category) });
  await insertProduct(tx, product);
  if (product.stock > 0) await receiveStock(tx, { productId: product.id, delta: product.stock, at: now, ...receipt });
  await appendToOutbox(tx, events, now);
  return product;
}
