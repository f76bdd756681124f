// The catalogue with 100,000 products: lists, searches and counts answer the same as with few, and read about what they return.
// What is read only a server can tell that explains its plans; the stand-in can't, so it gets fewer products and the answers alone are compared.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { toPage } from '@glasshouse/shared/http';
import { createDatabase, type Database } from '@glasshouse/shared/mongo';
import { quietLogger } from '@glasshouse/shared/testing';
import type { CommandStartedEvent, Document } from 'mongodb';
import { recountCategories } from '../src/data/category-repository.ts';
import { createCollections } from '../src/data/collections.ts';
import { type ProductDocument, type Sort, sorts } from '../src/data/product-repository.ts';
import { hasBought } from '../src/data/reservation-repository.ts';
import { wordsOf } from '../src/domain/words.ts';
import { getCategories, getProducts } from '../src/handlers/get-product.ts';
import { getReviews } from '../src/handlers/get-reviews.ts';
import { createWorld, type Running, type World } from './support.ts';

interface ReviewDocument {
  _id: string;
  productId: string;
  userId: string;
}
interface ReservationDocument {
  _id: string;
  state: string;
  userId: string;
  items: { productId: string; quantity: number }[];
}

const LIMIT = 20;
const BATCH = 5_000;
const CATEGORIES = 10;
const customer = randomUUIDv7();

let world: World;
let service: Running;
let database: Database;
/** What the database was asked, while somebody listens. */
let asked: Document[] = [];
let explains = false;
/** Those that are not deleted. */
let listed: ProductDocument[] = [];

/** Values that many share and that have nothing to do with each other; every word in some of the products, in many or in nearly all. */
function aProduct(index: number, size: number): ProductDocument {
  const spread = (index * 7919) % 100_003;
  const wood = spread % 500 === 0 ? 'ebony' : spread % 20 === 0 ? 'oak' : 'pine';
  const name = `${['Round', 'small', 'Tall', 'old'][spread % 4]} ${wood} ${['Table', 'chair', 'Shelf'][spread % 3]} ${spread % 400}`;
  const description = 'Made by the hands of a carpenter.';
  const now = new Date();
  return {
    _id: randomUUIDv7(),
    name,
    description,
    category: `category-${spread % CATEGORIES}`,
    price: { amount: 100 + (spread % 3_000), currency: 'USD' },
    available: 5,
    held: 0,
    sold: 0,
    // Most are not rated.
    rating: spread % 10 === 0 ? { average: 1 + (spread % 9) / 2, count: 2 } : { average: 0, count: 0 },
    version: 1,
    // Scattered ones, and all of the newest.
    deleted: spread % 11 === 0 || index > size * 0.98,
    createdAt: now,
    updatedAt: now,
    nameKey: name.toLowerCase(),
    words: wordsOf(`${name} ${description}`),
    counter: 1,
    touchedAt: now,
  };
}

const explain = (command: Document) => database.db.command({ explain: command, verbosity: 'executionStats' });

before(async () => {
  world = await createWorld();
  const url = new URL(world.mongo.url);
  url.searchParams.set('monitorCommands', 'true');
  database = createDatabase({ url: url.href, service: 'product-service', logger: quietLogger });
  database.client.on('commandStarted', ({ command }: CommandStartedEvent) => asked.push(command));
  const plan = await explain({ find: 'products' }).catch(() => undefined);
  explains = typeof plan?.executionStats?.totalDocsExamined === 'number';
  const size = explains ? 100_000 : 4_000;
  const products = Array.from({ length: size }, (_, index) => aProduct(index, size));
  listed = products.filter(({ deleted }) => !deleted);
  // Indexes are made faster from what is there than grown with it.
  await world.db.collection('products').dropIndexes();
  for (let from = 0; from < size; from += BATCH)
    await world.db.collection<ProductDocument>('products').insertMany(products.slice(from, from + BATCH));
  const categories = Array.from({ length: CATEGORIES }, (_, index) => ({
    _id: `category-${index}`,
    name: `Category ${index}`,
  }));
  await world.db.collection<(typeof categories)[number]>('categories').insertMany(categories);
  await world.db.collection<ReviewDocument>('reviews').insertMany(
    Array.from({ length: 1_000 }, (_, index) => ({
      _id: randomUUIDv7(),
      productId: listed[index % 2]?._id ?? '',
      userId: randomUUIDv7(),
    })),
  );
  await world.db.collection<ReservationDocument>('reservations').insertMany(
    Array.from({ length: 1_000 }, (_, index) => ({
      _id: randomUUIDv7(),
      state: index % 2 === 0 ? 'sold' : 'released',
      userId: [customer, randomUUIDv7()][index % 3] ?? customer,
      items: [0, 7].map((more) => ({ productId: listed[index + more]?._id ?? '', quantity: 1 })),
    })),
  );
  await createCollections(database);
  await recountCategories(database);
  service = await world.start();
});
after(async () => {
  await database.stop();
  await world.stop();
});

const compare = <T>(a: T, b: T) => (a < b ? -1 : a > b ? 1 : 0);
const sortValueOf: Record<Sort, (product: ProductDocument) => string | number> = {
  newest: ({ _id }) => _id,
  price: ({ price }) => price.amount,
  '-price': ({ price }) => price.amount,
  name: ({ nameKey }) => nameKey,
  rating: ({ rating }) => rating.average,
};

interface Wanted {
  category?: string;
  minPrice?: number;
  maxPrice?: number;
  search?: string;
}

/** Everything in an order, sorted once. */
const ordered = new Map<Sort, ProductDocument[]>();
function inOrder(sort: Sort): ProductDocument[] {
  const known = ordered.get(sort);
  if (known !== undefined) return known;
  const value = sortValueOf[sort];
  const ascending = listed.toSorted((a, b) => compare(value(a), value(b)) || compare(a._id, b._id));
  const sorted = sort === 'price' || sort === 'name' ? ascending : ascending.reverse();
  ordered.set(sort, sorted);
  return sorted;
}

/** The whole list, as it has to be. */
function expected({ category, minPrice = 0, maxPrice = Number.POSITIVE_INFINITY, search = '' }: Wanted, sort: Sort) {
  const words = wordsOf(search);
  return inOrder(sort).filter(
    (product) =>
      (category === undefined || product.category === category) &&
      product.price.amount >= minPrice &&
      product.price.amount <= maxPrice &&
      words.every((word) => product.words.includes(word)),
  );
}

/** The cursor after the product at `index`, as the page before would have given it. */
const cursorAfter = (list: ProductDocument[], index: number, sort: Sort) =>
  toPage(list.slice(index, index + 2), 1, (product) => [sort, sortValueOf[sort](product), product._id]).nextCursor ??
  '';

const filters: Wanted[] = [];
for (const category of [undefined, 'category-3'])
  for (const range of [{}, { minPrice: 1_000, maxPrice: 1_500 }])
    for (const search of [undefined, 'oak', 'the', 'EBONY table'])
      filters.push({ ...(category && { category }), ...range, ...(search && { search }) });

interface Cost {
  stages: string[];
  documents: number;
  keys: number;
}

/** What the database reads for everything that `work` asks of it. */
async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  asked = [];
  await work();
  // To explain is to ask, too.
  const finds = asked.filter((command) => 'find' in command);
  assert.ok(finds.length > 0);
  const cost: Cost = { stages: [], documents: 0, keys: 0 };
  for (const { find, filter, sort, limit, projection } of finds) {
    const { queryPlanner, executionStats } = await explain({ find, filter, sort, limit, projection });
    JSON.stringify(queryPlanner.winningPlan, (key, value) => {
      if (key === 'stage') cost.stages.push(value);
      return value;
    });
    cost.documents += executionStats.totalDocsExamined;
    cost.keys += executionStats.totalKeysExamined;
  }
  return cost;
}

function assertCheap({ stages, documents, keys }: Cost, most: number, what: string): void {
  const told = `${what}: ${documents} documents and ${keys} keys by ${stages}`;
  assert.ok(stages.length > 0 && !stages.includes('COLLSCAN'), told);
  assert.ok(documents <= most && keys <= 2 * most, `${told}; at most ${most}`);
}

/**
 * How many documents a list may need. Where one index has all conditions before the order, a page; elsewhere no more than the most selective
 * index leaves: of the category or of a word, and the price range within it.
 */
function mostFor({ search = '', ...rest }: Wanted, sort: Sort): number {
  const words = wordsOf(search);
  const { category, ...range } = rest;
  const isWhole =
    words.length + (category === undefined ? 0 : 1) <= 1 &&
    (range.minPrice === undefined || sort === 'price' || sort === '-price');
  if (isWhole) return 2 * (LIMIT + 1);
  const narrowed: Wanted[] = [rest, ...words.map((word) => ({ ...range, search: word }))];
  return 2 * (LIMIT + 1) + 2 * Math.min(...narrowed.map((each) => expected(each, sort).length));
}

for (const sort of sorts)
  test(`getProducts: in a large catalogue sorted by ${sort}, the first page and one from the middle, with every filter`, async () => {
    for (const filter of filters) {
      const list = expected(filter, sort);
      const middle = Math.floor(list.length / 2);
      for (const from of list.length > 2 ? [0, middle] : [0]) {
        const cursor = from > 0 ? { cursor: cursorAfter(list, from - 1, sort) } : {};
        const query = new URLSearchParams({ sort, limit: String(LIMIT), ...cursor });
        for (const [name, value] of Object.entries(filter)) query.set(name, String(value));
        const { status, body } = await service.call('GET', `/v1/products?${query}`);
        assert.equal(status, 200, JSON.stringify(body));
        assert.deepEqual(
          body.items.map(({ id }: { id: string }) => id),
          list.slice(from, from + LIMIT).map(({ _id }) => _id),
          `${query}`,
        );
        assert.equal(body.nextCursor === null, list.length <= from + LIMIT);
      }
    }
  });

test('getCategories: in a large catalogue, each with the number of its products', async () => {
  const { body } = await service.call('GET', '/v1/categories');
  const counts = Object.fromEntries(
    body.items.map(({ id, productCount }: { id: string; productCount: number }) => [id, productCount]),
  );
  for (let index = 0; index < CATEGORIES; index += 1)
    assert.equal(counts[`category-${index}`], expected({ category: `category-${index}` }, 'newest').length);
});

test('a large catalogue: every list, search and look-up goes by an index, and reads about what it returns', async (t) => {
  if (!explains) t.diagnostic('the server does not explain its plans as MongoDB does: only the answers were compared');
  const [product] = listed;
  assert.ok(product);
  const db = database;
  const lookUps: [what: string, work: () => Promise<unknown>][] = [
    ['categories', () => getCategories({ limit: LIMIT }, { db })],
    ['reviews', () => getReviews({ productId: product._id, limit: LIMIT }, { db })],
    ['later reviews', () => getReviews({ productId: product._id, limit: LIMIT, cursor: middleReview }, { db })],
    ['has bought', async () => assert.equal(await hasBought(db, customer, product._id), true)],
    ['has not bought', async () => assert.equal(await hasBought(db, randomUUIDv7(), product._id), false)],
  ];
  const middleReview = toPage([randomUUIDv7(), ''], 1, (id) => id).nextCursor ?? '';
  for (const [what, work] of lookUps) {
    await work();
    if (explains) assertCheap(await costOf(work), 2 * (LIMIT + 1), what);
  }
  for (const sort of explains ? sorts : [])
    for (const filter of filters) {
      const list = expected(filter, sort);
      const middle = Math.floor(list.length / 2);
      for (const cursor of [undefined, ...(middle > 0 ? [cursorAfter(list, middle - 1, sort)] : [])]) {
        const cost = await costOf(() => getProducts({ ...filter, sort, cursor, limit: LIMIT }, { db }));
        assertCheap(cost, mostFor(filter, sort), JSON.stringify({ ...filter, sort, cursor }));
      }
    }
});
