// Products in documents, in and out as domain types. Where their units are (available, held, sold) is the business of stock-repository.
import type { Money } from '@glasshouse/shared/contracts';
import type { Db, Transaction } from '@glasshouse/shared/mongo';
import type { Product, Rating } from '../domain/product.ts';
import { wordsOf } from '../domain/words.ts';

export interface ProductDocument {
  _id: string;
  name: string;
  description: string;
  category: string;
  price: Money;
  available: number;
  held: number;
  sold: number;
  /** One from before there were reviews has no sum. */
  rating: Omit<Rating, 'sum'> & Partial<Rating>;
  version: number;
  deleted: boolean;
  createdAt: Date;
  updatedAt: Date;
  /** The name without case, to sort by. */
  nameKey: string;
  /** The words of name and description, to search by. */
  words: string[];
  /** Changes with every lock, so that two transactions that want the same product meet. */
  counter: number;
  touchedAt: Date;
}

export const sorts = ['newest', 'price', '-price', 'name', 'rating'] as const;
export type Sort = (typeof sorts)[number];

/** Where a product stands in a sorted list: the value that is sorted by, and its id where that is the same. */
export type Place = readonly [value: string | number, id: string];

export interface ProductFilter {
  words?: string[] | undefined;
  category?: string | undefined;
  minPrice?: number | undefined;
  maxPrice?: number | undefined;
}

const collection = (db: Db) => db.collection<ProductDocument>('products');

function toProduct(document: ProductDocument): Product {
  const { _id: id, name, description, category, price, available, rating, version, deleted } = document;
  const { createdAt, updatedAt } = document;
  const catalogueEntry = { name, description, category, price, version, deleted, createdAt, updatedAt };
  return { id, ...catalogueEntry, stock: available, rating: { sum: 0, ...rating } };
}

/** What is kept of a product's catalogue entry. */
function toFields({ name, description, category, price, version, deleted, updatedAt }: Product) {
  const words = wordsOf(`${name} ${description}`);
  return { name, description, category, price, version, deleted, updatedAt, nameKey: name.toLowerCase(), words };
}

/**
 * Makes the product's document, locked until the transaction ends; `insertProduct` fills it.
 * @returns the database's clock
 */
export async function beginProduct(tx: Transaction, id: string): Promise<Date> {
  const document = await collection(tx).findOneAndUpdate(
    { _id: id },
    // A pipeline, because only that can read the database's clock.
    [{ $set: { counter: 1, touchedAt: '$$NOW' } }],
    { upsert: true, returnDocument: 'after', ...tx.within },
  );
  if (document === null) throw new Error(`product ${id} was not made`);
  return document.touchedAt;
}

/** With no units: they come through the journal. */
export async function insertProduct(tx: Transaction, product: Product): Promise<void> {
  const { id, rating, createdAt } = product;
  const fields = { ...toFields(product), rating, createdAt, available: 0, held: 0, sold: 0 };
  await collection(tx).updateOne({ _id: id }, { $set: fields }, tx.within);
}

export async function findProduct(db: Db, id: string): Promise<Product | undefined> {
  const document = await collection(db).findOne({ _id: id }, db.within);
  return document === null ? undefined : toProduct(document);
}

/**
 * Locks the product until the transaction ends: whoever wants it meanwhile fails, and begins again.
 * @returns the product, and the database's clock
 */
export async function lockProduct(tx: Transaction, id: string): Promise<{ product: Product; now: Date } | undefined> {
  const document = await collection(tx).findOneAndUpdate(
    { _id: id },
    [{ $set: { counter: { $add: ['$counter', 1] }, touchedAt: '$$NOW' } }],
    { returnDocument: 'after', ...tx.within },
  );
  return document === null ? undefined : { product: toProduct(document), now: document.touchedAt };
}

/** Writes the catalogue entry; the units stay as they are. */
export async function writeProduct(tx: Transaction, product: Product): Promise<void> {
  await collection(tx).updateOne({ _id: product.id }, { $set: toFields(product) }, tx.within);
}

/** Writes what the reviews add up to, and nothing else. */
export async function writeRating(tx: Transaction, { id, rating }: Product): Promise<void> {
  await collection(tx).updateOne({ _id: id }, { $set: { rating } }, tx.within);
}

/** The field that a list is sorted by, and in which direction. */
const orders: Record<Sort, { field: string; direction: 1 | -1; valueOf: (product: Product) => string | number }> = {
  newest: { field: '_id', direction: -1, valueOf: ({ id }) => id },
  price: { field: 'price.amount', direction: 1, valueOf: ({ price }) => price.amount },
  '-price': { field: 'price.amount', direction: -1, valueOf: ({ price }) => price.amount },
  name: { field: 'nameKey', direction: 1, valueOf: ({ name }) => name.toLowerCase() },
  rating: { field: 'rating.average', direction: -1, valueOf: ({ rating }) => rating.average },
};

export const placeOf = (product: Product, sort: Sort): Place => [orders[sort].valueOf(product), product.id];

/**
 * What lies beyond a place, in the order of the list: first what has the same value, then the other values. They are two reads: as the
 * alternatives of one, everything with the same value would be read again for each page.
 */
function stretchesBeyond(sort: Sort, place: Place | undefined): Record<string, unknown>[] {
  if (place === undefined) return [{}];
  const [value, id] = place;
  const { field, direction } = orders[sort];
  const beyond = direction === 1 ? '$gt' : '$lt';
  if (field === '_id') return [{ _id: { [beyond]: id } }];
  return [{ [field]: value, _id: { [beyond]: id } }, { [field]: { [beyond]: value } }];
}

/**
 * The products that are not deleted, one more than `limit` so that the caller sees whether there are more.
 * @param page `after` is the place of the last product of the page before: it need not be there any more
 */
export async function listProducts(
  db: Db,
  { words = [], category, minPrice, maxPrice }: ProductFilter,
  { sort, after, limit }: { sort: Sort; after?: Place | undefined; limit: number },
): Promise<Product[]> {
  const { field, direction } = orders[sort];
  const conditions: Record<string, unknown>[] = words.map((word) => ({ words: word }));
  if (minPrice !== undefined) conditions.push({ 'price.amount': { $gte: minPrice } });
  if (maxPrice !== undefined) conditions.push({ 'price.amount': { $lte: maxPrice } });
  const products: Product[] = [];
  for (const stretch of stretchesBeyond(sort, after)) {
    const missing = limit + 1 - products.length;
    if (missing === 0) break;
    const documents = await collection(db)
      .find({ deleted: false, ...(category !== undefined && { category }), $and: [...conditions, stretch] }, db.within)
      .sort({ [field]: direction, _id: direction })
      .limit(missing)
      .toArray();
    products.push(...documents.map(toProduct));
  }
  return products;
}
