// Categories in documents. They come with their first product and stay.
import type { Db, Transaction } from '@glasshouse/shared/mongo';
import type { Category } from '../domain/category.ts';

interface CategoryDocument {
  _id: string;
  name: string;
}

const collection = (db: Db) => db.collection<CategoryDocument>('categories');

/** Adds the category where it is not there yet; a name that it has is left to it. */
export async function ensureCategory(tx: Transaction, { id, name }: Category): Promise<void> {
  const known = await collection(tx).findOne({ _id: id }, tx.within);
  if (known === null) await collection(tx).insertOne({ _id: id, name }, tx.within);
}

/** By slug, one more than `limit`. */
export async function listCategories(db: Db, after: string | undefined, limit: number): Promise<Category[]> {
  const documents = await collection(db)
    .find(after === undefined ? {} : { _id: { $gt: after } }, db.within)
    .sort({ _id: 1 })
    .limit(limit + 1)
    .toArray();
  return documents.map(({ _id: id, name }) => ({ id, name }));
}
