// Reading the catalogue: what anyone sees. A deleted product is not in it.
import { type Page, readCursor, toPage } from '@glasshouse/shared/http';
import { z } from 'zod';
import { listCategories } from '../data/category-repository.ts';
import { findProduct, listProducts, type ProductFilter, placeOf, type Sort } from '../data/product-repository.ts';
import type { Deps } from '../deps.ts';
import type { ListedCategory } from '../domain/category.ts';
import { productNotFound } from '../domain/errors.ts';
import type { Product } from '../domain/product.ts';
import { wordsOf } from '../domain/words.ts';

/** @throws AppError `not-found`, also where the product is deleted */
export async function getProduct(query: { productId: string }, { db }: Pick<Deps, 'db'>): Promise<Product> {
  const product = await findProduct(db, query.productId);
  if (product === undefined || product.deleted) throw productNotFound();
  return product;
}

/** @param query `search`: all of its words have to be in the name or the description */
export async function getProducts(
  query: Omit<ProductFilter, 'words'> & {
    search?: string | undefined;
    sort: Sort;
    cursor?: string | undefined;
    limit: number;
  },
  { db }: Pick<Deps, 'db'>,
): Promise<Page<Product>> {
  const { search, sort, cursor, limit, ...filter } = query;
  const value = sort === 'newest' || sort === 'name' ? z.string() : z.number();
  const place = z.tuple([z.literal(sort), value, z.uuid()]);
  const read = readCursor(cursor, place);

  const words = search === undefined ? undefined : wordsOf(search);
  // A search for something that is no word finds nothing, not everything.
  if (words?.length === 0) return { items: [], nextCursor: null };
  const after = read && ([read[1], read[2]] as const);
  const products = await listProducts(db, { ...filter, words }, { sort, after, limit });
  return toPage(products, limit, (product) => [sort, ...placeOf(product, sort)]);
}

/** By slug, each with the number of its products. */
export async function getCategories(
  query: { cursor?: string | undefined; limit: number },
  { db }: Pick<Deps, 'db'>,
): Promise<Page<ListedCategory>> {
  const { cursor, limit } = query;
  const after = readCursor(cursor, z.string());
  return toPage(await listCategories(db, after, limit), limit, (category) => category.id);
}
