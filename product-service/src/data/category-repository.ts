// Categories in documents, each with the number of its products: to count them for every call would take the longer the more there are.
import { type Database, type Db, inTransaction, type Transaction } from '@glasshouse/shared/mongo';
import type { Category, ListedCategory } from '../domain/category.ts';

interface CategoryDocument {
  _id: string;
  name: string;
  /** One that an older version of the service made has none until it is counted anew. */
  productCount?: number;
}

const collection = (db: Db) => db.collection<CategoryDocument>('categories');

/** Counts one product more in the category, which comes with its first product; a name that it has is left to it. */
export async function addToCategory(tx: Transaction, { id, name }: Category): Promise<void> {
  await collection(tx).updateOne(
    { _id: id },
    { $inc: { productCount: 1 }, $setOnInsert: { name } },
    { upsert: true, ...tx.within },
  );
}

/** Counts one product less in the category, which stays also where that was its last. */
export async function removeFromCategory(tx: Transaction, id: string): Promise<void> {
  await collection(tx).updateOne({ _id: id }, { $inc: { productCount: -1 } }, tx.within);
}

/** By slug, one more than `limit`. */
export async function listCategories(db: Db, after: string | undefined, limit: number): Promise<ListedCategory[]> {
  const documents = await collection(db)
    .find(after === undefined ? {} : { _id: { $gt: after } }, db.within)
    .sort({ _id: 1 })
    .limit(limit + 1)
    .toArray();
  return documents.map(({ _id: id, name, productCount = 0 }) => ({ id, name, productCount }));
}

/** Counts the products of every category anew: those that came past the service, or while an older version of it ran that kept no count. */
export async function recountCategories(database: Database): Promise<void> {
  for (const { _id } of await collection(database).find().toArray())
    await inTransaction(database, async (tx) => {
      const productCount = await tx.collection('products').countDocuments({ deleted: false, category: _id }, tx.within);
      await collection(tx).updateOne({ _id }, { $set: { productCount } }, tx.within);
    });
}
