// What comes in and goes out over HTTP. Types and API documents come from here.
import { digits, listOf, money, moneyOut, pageQuery, text } from '@glasshouse/shared/http';
import { z } from 'zod';
import { sorts } from '../data/product-repository.ts';
import { MAX_STOCK, type Product } from '../domain/product.ts';
import type { Review } from '../domain/review.ts';

const MAX_PRICE = 99_999_999;

const category = z.string().regex(/^[a-z0-9-]{1,50}$/, 'is not a slug of a-z, 0-9 and hyphens');
const price = money;
/** An amount in a query, in minor units. */
const amount = digits(0, MAX_PRICE);

const catalogueEntry = { name: text(1, 200), description: text(1, 5_000), category, price };

export const createProductBody = z
  .strictObject({
    ...catalogueEntry,
    stock: z.int().nonnegative().max(MAX_STOCK).default(0),
  })
  .meta({
    id: 'CreateProduct',
    examples: [
      {
        name: 'Enamel Kettle',
        description: 'A 1.7 litre kettle of enamelled steel.',
        category: 'kitchen',
        price: { amount: 4900, currency: 'USD' },
        stock: 240,
      },
    ],
  });

export const updateProductBody = z
  .strictObject(catalogueEntry)
  .partial()
  .extend({ version: z.int().positive() })
  .meta({ id: 'UpdateProduct', examples: [{ price: { amount: 4500, currency: 'USD' }, version: 3 }] });

export const changeStockBody = z
  .strictObject({
    delta: z
      .int()
      .min(-MAX_STOCK)
      .max(MAX_STOCK)
      .refine((delta) => delta !== 0, { message: 'changes nothing' }),
    reason: text(1, 200),
  })
  .meta({ id: 'ChangeStock', examples: [{ delta: 50, reason: 'delivery 4711' }] });

const aReview = {
  rating: 5,
  title: 'Boils fast',
  text: 'Two minutes for a pot of tea, and the handle stays cool.',
};

export const createReviewBody = z
  .strictObject({ rating: z.int().min(1).max(5), title: text(1, 200), text: text(1, 5_000) })
  .meta({ id: 'CreateReview', examples: [aReview] });

/** A lowest price above the highest finds nothing and is no mistake: somebody may be about to change the other one. */
export const listProductsQuery = z.strictObject({
  ...pageQuery,
  search: text(1, 200).optional(),
  category: category.optional(),
  minPrice: amount.optional(),
  maxPrice: amount.optional(),
  sort: z.enum(sorts).default('newest'),
});

export const listCategoriesQuery = z.strictObject(pageQuery);

export const listReviewsQuery = z.strictObject(pageQuery);

export const productSchema = z
  .object({
    id: z.uuid(),
    name: z.string(),
    description: z.string(),
    category: z.string(),
    price: moneyOut,
    stock: z.int(),
    rating: z.object({ average: z.number(), count: z.int() }),
    version: z.int(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({
    id: 'Product',
    examples: [
      {
        id: '019b8d2b-8c00-7af8-b33f-d5143135f3c8',
        name: 'Enamel Kettle',
        description: 'A 1.7 litre kettle of enamelled steel.',
        category: 'kitchen',
        price: { amount: 4900, currency: 'USD' },
        stock: 240,
        rating: { average: 4.5, count: 12 },
        version: 3,
        createdAt: '2026-11-21T10:15:00.000Z',
        updatedAt: '2026-11-21T10:15:01.000Z',
      },
    ],
  });

export const productListSchema = listOf(productSchema);

export const categorySchema = z
  .object({ id: z.string(), name: z.string(), productCount: z.int() })
  .meta({ id: 'Category', examples: [{ id: 'kitchen', name: 'Kitchen', productCount: 6 }] });

export const categoryListSchema = listOf(categorySchema);

export const reviewSchema = z
  .object({
    id: z.uuid(),
    productId: z.uuid(),
    rating: z.int().min(1).max(5),
    title: z.string(),
    text: z.string(),
    createdAt: z.iso.datetime(),
  })
  .meta({
    id: 'Review',
    examples: [
      {
        id: '019b9f3a-1c40-7b52-9c1e-5b8f0a7d2e61',
        productId: '019b8d2b-8c00-7af8-b33f-d5143135f3c8',
        ...aReview,
        createdAt: '2026-11-21T10:20:00.000Z',
      },
    ],
  });

export const reviewListSchema = listOf(reviewSchema);

export function toProductJson(product: Product): z.input<typeof productSchema> {
  const { deleted: _deleted, rating, createdAt, updatedAt, ...rest } = product;
  const { average, count } = rating;
  return {
    ...rest,
    rating: { average, count },
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

/** Not with who wrote it: anybody may read reviews, and what somebody has bought is nobody's business. */
export function toReviewJson({ userId: _userId, createdAt, ...rest }: Review): z.input<typeof reviewSchema> {
  return { ...rest, createdAt: createdAt.toISOString() };
}
