// Reviews in documents, one for each customer and product, never changed. What they add up to is kept on the product.
import type { Db, Transaction } from '@glasshouse/shared/mongo';
import type { Review } from '../domain/review.ts';

type ReviewDocument = Omit<Review, 'id'> & { _id: string };

const collection = (db: Db) => db.collection<ReviewDocument>('reviews');

export async function insertReview(tx: Transaction, { id, ...review }: Review): Promise<void> {
  await collection(tx).insertOne({ _id: id, ...review }, tx.within);
}

export async function hasReviewed(db: Db, userId: string, productId: string): Promise<boolean> {
  return (await collection(db).findOne({ productId, userId }, db.within)) !== null;
}

/** The newest first, one more than `limit`; `after` is the id of the last one of the page before. */
export async function listReviews(
  db: Db,
  productId: string,
  { after, limit }: { after?: string | undefined; limit: number },
): Promise<Review[]> {
  const documents = await collection(db)
    .find({ productId, ...(after !== undefined && { _id: { $lt: after } }) }, db.within)
    .sort({ _id: -1 })
    .limit(limit + 1)
    .toArray();
  return documents.map(({ _id: id, ...review }) => ({ id, ...review }));
}
