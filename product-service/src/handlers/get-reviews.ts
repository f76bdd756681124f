// Reading what customers say about a product.
import { type Page, readCursor, toPage } from '@glasshouse/shared/http';
import { z } from 'zod';
import { listReviews } from '../data/review-repository.ts';
import type { Deps } from '../deps.ts';
import type { Review } from '../domain/review.ts';
import { getProduct } from './get-product.ts';

/** @throws AppError `not-found`, also where the product is deleted */
export async function getReviews(
  query: { productId: string; cursor?: string | undefined; limit: number },
  { db }: Pick<Deps, 'db'>,
): Promise<Page<Review>> {
  const { productId, cursor, limit } = query;
  const after = readCursor(cursor, z.uuid());
  await getProduct({ productId }, { db });
  return toPage(await listReviews(db, productId, { after, limit }), limit, (review) => review.id);
}
