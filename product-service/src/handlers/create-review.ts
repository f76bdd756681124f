// A customer reviews a product that they have bought: the review, and what all of them add up to on the product.
import { randomUUIDv7 } from 'node:crypto';
import { type Db, inTransaction } from '@glasshouse/shared/mongo';
import { findProduct, lockProduct, writeRating } from '../data/product-repository.ts';
import { hasBought } from '../data/reservation-repository.ts';
import { hasReviewed, insertReview } from '../data/review-repository.ts';
import type { Deps } from '../deps.ts';
import { productNotFound, reviewExists, reviewNotBought } from '../domain/errors.ts';
import { type Product, rate } from '../domain/product.ts';
import type { Review } from '../domain/review.ts';

export type CreateReview = Omit<Review, 'id' | 'createdAt'>;

/** @throws AppError where this customer may not review the product */
async function assertMayReview(db: Db, product: Product | undefined, { userId, productId }: CreateReview) {
  if (product === undefined || product.deleted) throw productNotFound();
  if (!(await hasBought(db, userId, productId))) throw reviewNotBought();
  if (await hasReviewed(db, userId, productId)) throw reviewExists();
}

/**
 * @throws AppError `not-found`, also where the product is deleted; `forbidden` where the customer has not bought it or has returned it;
 * `conflict` where they have reviewed it before
 */
export async function createReview(command: CreateReview, { db, inTurn }: Deps): Promise<Review> {
  const { productId } = command;
  // Whoever may not is refused without a turn and without a lock: anybody could hold up the stock by asking.
  await assertMayReview(db, await findProduct(db, productId), command);
  return inTurn(() =>
    inTransaction(db, async (tx) => {
      const locked = await lockProduct(tx, productId);
      if (locked === undefined) throw productNotFound();
      await assertMayReview(tx, locked.product, command);
      const review: Review = { id: randomUUIDv7(), ...command, createdAt: locked.now };
      await insertReview(tx, review);
      await writeRating(tx, rate(locked.product, review.rating));
      return review;
    }),
  );
}
