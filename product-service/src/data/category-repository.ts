// Categories in documents. They come with their first product and stay.
import type { Db, Transaction } from '@glasshouse/shared/mongo';
import type { Category } from '../domain/category.ts';

interface CategoryDocument {
  _id: string;
  name: string;
  counter: number;
  touchedAt: Date;
}

const collection = (db: Db) => db.collection<CategoryDocument>('categories');

/**
 * Makes sure that the category is there; a name that it has is left to it. Locks it until the transaction ends.
 * @returns the database's clock
 */
export async function lockCategory(tx: Transaction, { id, name }: Category): Promise<Date> {
  const document = await collection(tx).findOneAndUpdate(
    { _id: id },
    [
      {
        $set: {
          name: { $ifNull: ['$name', { $literal: name }] },
          counter: { $add: [{ $ifNull: ['$counter', 0] }, 1] },
          touchedAt: '$$NOW',
        },
      },
    ],
    { upsert: true, returnDocument: 'after', ...tx.within },
  );
  if (document === null) throw new Error(`category ${id} was neither found nor made`);
  return document.touchedAt;
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
