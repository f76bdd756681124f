// What comes in and goes out over HTTP. Types and API documents come from here.
import { money, pageQuery, text } from '@glasshouse/shared/http';
import { z } from 'zod';
import { sorts } from '../data/product-repository.ts';
import { MAX_STOCK, type Product } from '../domain/product.ts';

const MAX_PRICE = 99_999_999;

const category = z.string().regex(/^[a-z0-9-]{1,50}$/, 'is not a slug of a-z, 0-9 and hyphens');
const price = money;
/** An amount in a query, in minor units. */
const amount = z
  .string()
  .regex(/^\d+$/, 'is not an amount in minor units')
  .pipe(z.coerce.number<string>().max(MAX_PRICE));

const catalogueEntry = { name: text(1, 200), description: text(1, 5_000), category, price };

export const createProductBody = z.strictObject({
  ...catalogueEntry,
  stock: z.int().nonnegative().max(MAX_STOCK).default(0),
});

export const updateProductBody = z.strictObject(catalogueEntry).partial().extend({ version: z.int().positive() });

export const changeStockBody = z.strictObject({
  delta: z
    .int()
    .min(-MAX_STOCK)
    .max(MAX_STOCK)
    .refine((delta) => delta !== 0, { message: 'changes nothing' }),
  reason: text(1, 200),
});

export const listProductsQuery = z.strictObject({
  ...pageQuery,
  search: text(1, 200).optional(),
  category: category.optional(),
  minPrice: amount.optional(),
  maxPrice: amount.optional(),
  sort: z.enum(sorts).default('newest'),
});

export const listCategoriesQuery = z.strictObject(pageQuery);

export const productSchema = z.object({
  id: z.uuid(),
  name: z.string(),
  description: z.string(),
  category: z.string(),
  price: z.object({ amount: z.int(), currency: z.string() }),
  stock: z.int(),
  rating: z.object({ average: z.number(), count: z.int() }),
  version: z.int(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

export const productListSchema = z.object({ items: z.array(productSchema), nextCursor: z.string().nullable() });

export const categoryListSchema = z.object({
  items: z.array(z.object({ id: z.string(), name: z.string(), productCount: z.int() })),
  nextCursor: z.string().nullable(),
});

export function toProductJson(product: Product): z.input<typeof productSchema> {
  const { deleted: _deleted, createdAt, updatedAt, ...rest } = product;
  return { ...rest, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}
