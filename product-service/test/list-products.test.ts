// GET /v1/products: found by words, category and price, in five orders, page by page without a gap or a repetition.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addProduct, createWorld, problemOf, type Running, type World } from './support.ts';

interface Listed {
  id: string;
  name: string;
  price: { amount: number };
  rating: { average: number };
}

let world: World;
let service: Running;
const products: Listed[] = [];
const CATEGORY = 'paged';

before(async () => {
  world = await createWorld();
  service = await world.start();
  // Few values, so that many products share one and the id has to decide.
  for (const [index, name] of [
    'apple',
    'Banana',
    'cherry',
    'apple',
    'Zebra',
    'banana',
    'émile',
    'Apple',
    'cherry',
  ].entries()) {
    const price = { amount: [500, 100, 300][index % 3], currency: 'USD' };
    const product = await addProduct(world, service, { name, price, category: CATEGORY });
    const rating = { average: [4.5, 0, 3][index % 3] ?? 0, count: 2 };
    await world.db.collection<{ _id: string }>('products').updateOne({ _id: product.id }, { $set: { rating } });
    products.push({ ...product, rating });
  }
});
after(() => world.stop());

const list = (query: string) => service.call('GET', `/v1/products?${query}`);
const namesOf = async (query: string): Promise<string[]> => {
  const { status, body } = await list(query);
  assert.equal(status, 200, JSON.stringify(body));
  return body.items.map((product: Listed) => product.name).sort();
};

/** All pages of a list. */
async function pages(query: string): Promise<Listed[]> {
  const all: Listed[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { status, body } = await list(`${query}${cursor && `&cursor=${cursor}`}`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.ok(all.length < 100, 'there is no end of pages');
    all.push(...body.items);
    cursor = body.nextCursor;
  }
  return all;
}

const compare = <T>(a: T, b: T) => (a < b ? -1 : a > b ? 1 : 0);
const inOrder: Record<string, (a: Listed, b: Listed) => number> = {
  newest: (a, b) => compare(b.id, a.id),
  price: (a, b) => a.price.amount - b.price.amount || compare(a.id, b.id),
  '-price': (a, b) => b.price.amount - a.price.amount || compare(b.id, a.id),
  name: (a, b) => compare(a.name.toLowerCase(), b.name.toLowerCase()) || compare(a.id, b.id),
  rating: (a, b) => b.rating.average - a.rating.average || compare(b.id, a.id),
};

for (const [sort, order] of Object.entries(inOrder))
  for (const limit of [1, 2, 100])
    test(`getProducts: sorted by ${sort} in pages of ${limit}, every product once and in order`, async () => {
      const all = await pages(`category=${CATEGORY}&sort=${sort}&limit=${limit}`);
      assert.deepEqual(
        all.map(({ id }) => id),
        products.toSorted(order).map(({ id }) => id),
      );
    });

test('getProducts: by default, the newest first and 20 on a page', async () => {
  for (let index = 0; index < 21; index += 1) await addProduct(world, service, { category: 'many' });
  const { body } = await list('category=many');
  assert.equal(body.items.length, 20);
  assert.equal(typeof body.nextCursor, 'string');
  const ids = body.items.map((product: Listed) => product.id);
  assert.deepEqual(ids, ids.toSorted().reverse());
});

/** Changes a rating as reviews do, past the service: a purchase for each would take long. */
async function rate(id: string, average: number): Promise<void> {
  const rating = { average, count: 1, sum: average };
  await world.db.collection<{ _id: string }>('products').updateOne({ _id: id }, { $set: { rating } });
}

for (const [sort, order] of Object.entries(inOrder))
  test(`getProducts: sorted by ${sort}, what comes, changes or goes between two pages neither repeats nor hides another`, async () => {
    const category = `moving-${sort.replace('-', '')}-${sort.length}`;
    // Every value is there several times, so that pages begin and end within a tie.
    const make = async (index: number): Promise<Listed> => {
      const price = { amount: [300, 100, 200][index % 3], currency: 'USD' };
      const name = ['pear', 'Apple', 'quince'][index % 3];
      const product = await addProduct(world, service, { category, price, name });
      const average = [3, 1, 5][index % 3] ?? 0;
      await rate(product.id, average);
      return { ...product, rating: { average } };
    };
    const made: Listed[] = [];
    for (let index = 0; index < 18; index += 1) made.push(await make(index));
    const wanderer = made[9] as Listed;
    const doomed = made.filter((_, index) => index % 5 === 2);
    const staying = made.filter((product) => product !== wanderer && !doomed.includes(product));

    const seen: Listed[] = [];
    let pageCount = 0;
    for (let cursor: string | null = ''; cursor !== null; pageCount += 1) {
      const { status, body } = await list(`category=${category}&sort=${sort}&limit=2${cursor && `&cursor=${cursor}`}`);
      assert.equal(status, 200, JSON.stringify(body));
      seen.push(...body.items);
      cursor = body.nextCursor;
      assert.ok(pageCount < 50, 'there is no end of pages');
      if (pageCount >= 8) continue;
      await make(pageCount);
      await rate(wanderer.id, pageCount % 2 === 0 ? 0.5 : 4.5);
      // Where it can be had, the very product that the cursor points at.
      const last = body.items.at(-1);
      const goes = doomed.find(({ id }) => id === last?.id) ?? doomed.at(-1);
      if (goes === undefined) continue;
      doomed.splice(doomed.indexOf(goes), 1);
      await service.call('DELETE', `/v1/products/${goes.id}`, { token: world.admin });
    }
    const stayed = new Set(staying.map(({ id }) => id));
    assert.deepEqual(
      seen.map(({ id }) => id).filter((id) => stayed.has(id)),
      staying.toSorted(order).map(({ id }) => id),
    );
    if (sort !== 'rating') assert.equal(new Set(seen.map(({ id }) => id)).size, seen.length);
  });

test('getProducts: sorted by name, a page may end at the longest name in the widest letters', async () => {
  const category = 'longest-names';
  for (const letter of ['İ', '茶', '"']) await addProduct(world, service, { category, name: letter.repeat(200) });
  assert.equal((await pages(`category=${category}&sort=name&limit=1`)).length, 3);
});

test('getProducts: all words of the search have to be there, in name or description, whatever their case and accents', async () => {
  const category = 'searched';
  await addProduct(world, service, { category, name: 'Café Table', description: 'Round, of oak.' });
  await addProduct(world, service, { category, name: 'Oak Shelf', description: 'Holds 20 kg.' });
  assert.deepEqual(await namesOf('search=oak'), ['Café Table', 'Oak Shelf']);
  assert.deepEqual(await namesOf('search=OAK%20cafe'), ['Café Table']);
  assert.deepEqual(await namesOf('search=caf%C3%A9'), ['Café Table']);
  assert.deepEqual(await namesOf('search=20%20kg,%20shelf!'), ['Oak Shelf']);
  // Whole words only, and case is more than one letter for one.
  assert.deepEqual(await namesOf('search=shel'), []);
  await addProduct(world, service, { category, name: 'Straßenschild', description: 'ΟΔΟΣ' });
  assert.deepEqual(await namesOf('search=STRASSENSCHILD'), ['Straßenschild']);
  assert.deepEqual(await namesOf('search=%CE%BF%CE%B4%CE%BF%CF%82'), ['Straßenschild']);
  assert.deepEqual(await namesOf('search=oak%20pine'), []);
  assert.deepEqual(await namesOf('search=oak&category=many'), []);
  assert.deepEqual(await namesOf('search=!!!'), []);
  assert.deepEqual(await namesOf('search=%24where'), []);
  assert.equal((await pages('search=oak&sort=name&limit=1')).length, 2);
});

test('getProducts: a product is found by its new words, not by its old ones', async () => {
  const { id } = await addProduct(world, service, { category: 'searched', name: 'Oldname' });
  await service.call('PATCH', `/v1/products/${id}`, { token: world.admin, body: { version: 1, name: 'Newname' } });
  assert.deepEqual(await namesOf('search=oldname'), []);
  assert.deepEqual(await namesOf('search=newname'), ['Newname']);
});

test('getProducts: between two prices, both included', async () => {
  const amounts = async (query: string) => {
    const all = await pages(`category=${CATEGORY}&limit=2&sort=price&${query}`);
    return [...new Set(all.map(({ price }) => price.amount))];
  };
  assert.deepEqual(await amounts('minPrice=300'), [300, 500]);
  assert.deepEqual(await amounts('maxPrice=300'), [100, 300]);
  assert.deepEqual(await amounts('minPrice=101&maxPrice=499'), [300]);
  assert.deepEqual(await amounts('minPrice=400&maxPrice=200'), []);
});

test('getProducts: a wrong query is a 400', async () => {
  const { nextCursor } = (await list('sort=price&limit=1')).body;
  const wrong = [
    'limit=0',
    'limit=101',
    'limit=x',
    'limit=1&limit=2',
    'sort=stock',
    'sort=',
    'minPrice=-1',
    'minPrice=',
    'maxPrice=1.5',
    'maxPrice=1e3',
    'minPrice=0x10',
    'limit=0x10',
    'limit=1e1',
    'limit=%2010%20',
    'limit=',
    'maxPrice=100000000',
    'category=Kitchen',
    'category[$ne]=x',
    'search=',
    'search=%00',
    'search=a&search=b',
    `search=${'x'.repeat(201)}`,
    'unknown=1',
    'cursor=x',
    'cursor=',
    `cursor=${nextCursor}`,
    `cursor=${nextCursor}&sort=name`,
    `cursor=${Buffer.from('["price",{"$gt":0},"x"]').toString('base64url')}&sort=price`,
  ];
  for (const query of wrong)
    assert.deepEqual(problemOf(await list(query)), { status: 400, code: 'query.invalid' }, query);
  assert.equal((await list(`cursor=${nextCursor}&sort=price`)).status, 200);
});
