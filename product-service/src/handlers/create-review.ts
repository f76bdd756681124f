// A customer reviews a product that they have bought: the review, and what all of them add up to on the product.
import { randomUUIDv7 } from 'node:crypto';
import { inTransaction } from '@glasshouse/shared/mongo';
import { lockProduct, writeRating } from '../data/product-repository.ts';
import { hasBought } from '../data/reservation-repository.ts';
import { hasReviewed, insertReview } from '../data/review-repository.ts';
import type { Deps } from '../deps.ts';
import { productNotFound, reviewExists, reviewNotBought } from '../domain/errors.ts';
import { rate } from '../domain/product.ts';
import type { Review } from '../domain/review.ts';

export type CreateReview = Omit<Review, 'id' | 'createdAt'>;

/**
 * @throws AppError `not-found`, also where the product is deleted; `forbidden` where the customer has not bought it or has returned it;
 * `conflict` where they have reviewed it before
 */
export async function createReview(command: CreateReview, { db }: Pick<Deps, 'db'>): Promise<Review> {
  const { userId, productId } = command;
  return inTransaction(db, async (tx) => {
    const locked = await lockProduct(tx, productId);
    if (locked === undefined || locked.product.deleted) throw productNotFound();
    if (!(await hasBought(tx, userId, productId))) throw reviewNotBought();
    if (await hasReviewed(tx, userId, productId)) throw reviewExists();
    const review: Review = { id: randomUUIDv7(), ...command, createdAt: locked.now };
    await insertReview(tx, review);
    await writeRating(tx, rate(locked.product, review.rating));
    return review;
  });
}
