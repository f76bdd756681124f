// The catalogue: products come, change and go, the others are told, and what is no product is refused.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { productCreated, productDeleted, productUpdated } from '@glasshouse/shared/contracts';
import { waitFor } from '@glasshouse/shared/testing';
import { aBody, addProduct, changeStock, createWorld, problemOf, type Running, type World } from './support.ts';

let world: World;
let service: Running;
let customer: string;

before(async () => {
  world = await createWorld();
  service = await world.start();
  customer = world.keys.token(randomUUIDv7());
});
after(() => world.assertBooksBalance().finally(() => world.stop()));

const create = (body: unknown, token = world.admin) => service.call('POST', '/v1/products', { token, body });
const read = (id: string) => service.call('GET', `/v1/products/${id}`);
const patch = (id: string, body: unknown) => service.call('PATCH', `/v1/products/${id}`, { token: world.admin, body });
const erase = (id: string) => service.call('DELETE', `/v1/products/${id}`, { token: world.admin });
const journalOf = (productId: string) => world.db.collection('stock_journal').find({ productId }).toArray();

test('createProduct: answers 201 with the product, writes its stock into the journal, and tells the others', async () => {
  const { status, body, headers } = await service.call('POST', '/v1/products', {
    token: world.admin,
    body: aBody({ stock: 120 }),
    headers: { 'x-request-id': 'request-8' },
  });
  assert.equal(status, 201);
  assert.equal(headers.get('location'), `/api/v1/products/${body.id}`);
  const { id, createdAt, updatedAt, ...rest } = body;
  assert.deepEqual(rest, { ...aBody(), stock: 120, rating: { average: 0, count: 0 }, version: 1 });
  assert.equal(createdAt, updatedAt);
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000);
  assert.deepEqual((await read(id)).body, body);
  assert.deepEqual(
    (await journalOf(id)).map(({ delta, reason }) => [delta, reason]),
    [[120, 'initial stock']],
  );

  const event = await waitFor('product.created', () => world.broker.eventsOf(productCreated, id)[0]);
  assert.equal(event.correlationid, 'request-8');
  assert.equal(event.time, createdAt);
  assert.deepEqual(event.data, { productId: id, ...aBody(), version: 1 });
});

test('createProduct: without stock, has none and nothing is journalled', async () => {
  const { id, stock } = await addProduct(world, service);
  assert.equal(stock, 0);
  assert.deepEqual(await journalOf(id), []);
});

test('createProduct: text that looks like a database’s operators is text', async () => {
  const odd = { name: '$price', description: '$$ROOT {"$ne": null} $', category: '--' };
  const { id } = await addProduct(world, service, odd);
  const { name, description, category } = (await read(id)).body;
  assert.deepEqual({ name, description, category }, odd);
});

test('updateProduct: changes what is named, counts the version up, and tells the others', async () => {
  const { id } = await addProduct(world, service, { stock: 3 });
  const price = { amount: 5100, currency: 'USD' };
  const { status, body } = await patch(id, { version: 1, price, category: 'garden-tools' });
  assert.equal(status, 200);
  assert.deepEqual([body.version, body.price, body.category, body.name], [2, price, 'garden-tools', aBody().name]);
  assert.ok(body.updatedAt > body.createdAt);
  assert.deepEqual((await read(id)).body, body);
  const event = await waitFor('product.updated', () => world.broker.eventsOf(productUpdated, id)[0]);
  assert.deepEqual(event.data, { productId: id, ...aBody({ price, category: 'garden-tools' }), version: 2 });
});

test('updateProduct: for another version than the present one, answers 409 and changes nothing', async () => {
  const { id } = await addProduct(world, service);
  assert.equal((await patch(id, { version: 1, name: 'Second' })).status, 200);
  for (const version of [1, 3])
    assert.deepEqual(problemOf(await patch(id, { version, name: 'Third' })), {
      status: 409,
      code: 'product.stale-version',
    });
  assert.equal((await read(id)).body.name, 'Second');
});

test('updateProduct: where nothing would change, leaves the version and tells nobody', async () => {
  const { id } = await addProduct(world, service);
  const { status, body } = await patch(id, { version: 1, ...aBody() });
  assert.deepEqual([status, body.version], [200, 1]);
  assert.equal((await patch(id, { version: 1, name: 'Other' })).body.version, 2);
  await waitFor('product.updated', () => world.broker.eventsOf(productUpdated, id).length === 1);
});

test('the stock is no part of the version', async () => {
  const { id } = await addProduct(world, service);
  assert.equal((await changeStock(world, service, id, { delta: 5, reason: 'delivery' })).body.version, 1);
  assert.equal((await patch(id, { version: 1, name: 'Other' })).body.stock, 5);
});

test('deleteProduct: the product is gone from the catalogue, keeps its stock, and the others are told with a higher version', async () => {
  const { id } = await addProduct(world, service, { category: 'shortlived', stock: 9 });
  const { status, body } = await erase(id);
  assert.deepEqual([status, body], [204, '']);
  const gone = { status: 404, code: 'product.not-found' };
  assert.deepEqual(problemOf(await read(id)), gone);
  assert.deepEqual(problemOf(await erase(id)), gone);
  assert.deepEqual(problemOf(await patch(id, { version: 2, name: 'Other' })), gone);
  assert.deepEqual(problemOf(await changeStock(world, service, id, { delta: 1, reason: 'delivery' })), gone);
  assert.deepEqual((await service.call('GET', '/v1/products?category=shortlived')).body.items, []);
  assert.deepEqual(await world.booksOf(id), { available: 9, held: 0, sold: 0 });
  const event = await waitFor('product.deleted', () => world.broker.eventsOf(productDeleted, id)[0]);
  assert.deepEqual(event.data, { productId: id, version: 2 });
});

test('getCategories: all of them by slug, page by page, with the number of products that are there', async () => {
  const slugs = ['zz-a', 'zz-b', 'zz-c'];
  for (const category of slugs) await addProduct(world, service, { category });
  await addProduct(world, service, { category: 'zz-b' });
  const { id } = await addProduct(world, service, { category: 'zz-c' });
  await erase(id);
  // As an older version of the service makes it, that counts nothing.
  await world.db.collection<{ _id: string; name: string }>('categories').insertOne({ _id: 'zz-old', name: 'Zz old' });

  const all: { id: string; name: string; productCount: number }[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { status, body } = await service.call('GET', `/v1/categories?limit=2${cursor && `&cursor=${cursor}`}`);
    assert.equal(status, 200);
    all.push(...body.items);
    cursor = body.nextCursor;
  }
  assert.deepEqual(
    all.filter(({ id: slug }) => slug.startsWith('zz-')),
    [
      { id: 'zz-a', name: 'Zz a', productCount: 1 },
      { id: 'zz-b', name: 'Zz b', productCount: 2 },
      { id: 'zz-c', name: 'Zz c', productCount: 1 },
      { id: 'zz-old', name: 'Zz old', productCount: 0 },
    ],
  );
  const ids = all.map((category) => category.id);
  assert.deepEqual(ids, ids.toSorted());
});

test('createProduct: what is not as the contract says is refused with 422, by field', async () => {
  const wrong: [path: string, overrides: Record<string, unknown>][] = [
    ['name', { name: '' }],
    ['name', { name: '   ' }],
    ['name', { name: 'NUL\u0000' }],
    ['name', { name: '\ud800' }],
    ['name', { name: 'x'.repeat(201) }],
    ['description', { description: 'a\u0000b' }],
    ['description', { description: 7 }],
    ['category', { category: 'Kitchen' }],
    ['category', { category: 'a_b' }],
    ['category', { category: '' }],
    ['category', { category: 'x'.repeat(51) }],
    ['price', { price: 4900 }],
    ['price.amount', { price: { amount: 49.5, currency: 'USD' } }],
    ['price.amount', { price: { amount: 0, currency: 'USD' } }],
    ['price.currency', { price: { amount: 1, currency: 'ZZZ' } }],
    ['price.amount', { price: { amount: 100_000_000, currency: 'USD' } }],
    ['price.amount', { price: { amount: '1', currency: 'USD' } }],
    ['price.currency', { price: { amount: 1, currency: 'usd' } }],
    ['price.tax', { price: { amount: 1, currency: 'USD', tax: 1 } }],
    ['stock', { stock: -1 }],
    ['stock', { stock: 1.5 }],
    ['stock', { stock: 1_000_001 }],
    ['version', { version: 2 }],
    ['$set', { $set: { stock: 1 } }],
  ];
  for (const [path, overrides] of wrong) {
    const reply = await create(aBody(overrides));
    assert.deepEqual(problemOf(reply), { status: 422, code: 'body.invalid' }, JSON.stringify(overrides));
    assert.deepEqual(
      reply.body.errors.map((error: { path: string }) => error.path),
      [path],
    );
  }
  for (const body of [null, [], 'x', 1, {}]) assert.equal((await create(body)).status, 422);
  const most = aBody({ price: { amount: 99_999_999, currency: 'CHF' }, stock: 1_000_000, name: 'x'.repeat(200) });
  assert.equal((await create(most)).status, 201);
  assert.equal((await create(aBody({ price: { amount: 1, currency: 'USD' } }))).status, 201);
});

test('updateProduct: without a version, with an unknown field or a wrong one, answers 422', async () => {
  const { id } = await addProduct(world, service);
  for (const body of [
    { name: 'Other' },
    { version: 0 },
    { version: '1' },
    { version: 1, stock: 5 },
    { version: 1, price: 5 },
  ])
    assert.deepEqual(problemOf(await patch(id, body)), { status: 422, code: 'body.invalid' }, JSON.stringify(body));
  assert.deepEqual(problemOf(await patch(randomUUIDv7(), { version: 1 })), { status: 404, code: 'product.not-found' });
});

test('only an admin may change anything, and everybody may read', async () => {
  const { id } = await addProduct(world, service);
  for (const [method, path] of [
    ['POST', '/v1/products'],
    ['PATCH', `/v1/products/${id}`],
    ['DELETE', `/v1/products/${id}`],
    ['POST', `/v1/products/${id}/stock`],
  ] as const) {
    assert.deepEqual(problemOf(await service.call(method, path, { body: {} })), { status: 401, code: 'token.missing' });
    assert.deepEqual(problemOf(await service.call(method, path, { token: customer, body: {} })), {
      status: 403,
      code: 'role.missing',
    });
  }
  for (const path of [`/v1/products/${id}`, '/v1/products', '/v1/categories'])
    assert.equal((await service.call('GET', path)).status, 200);
});

test('what HTTP can get wrong: ids, paths, methods, media types, sizes, JSON', async () => {
  const { id } = await addProduct(world, service);
  assert.equal((await read(id.toUpperCase())).status, 200);
  for (const path of [
    '/v1/products/1',
    '/v1/products/%00',
    `/v1/products/${id}x`,
    `/v1/products/${randomUUIDv7()}`,
    '/v1/nothing',
  ])
    assert.equal((await service.call('GET', path)).status, 404, path);
  const wrongMethod = await service.call('PUT', `/v1/products/${id}`, { token: world.admin, body: {} });
  assert.deepEqual([wrongMethod.status, wrongMethod.headers.get('allow')], [405, 'GET, HEAD, PATCH, DELETE']);
  const wrongType = await service.call('POST', '/v1/products', {
    token: world.admin,
    body: aBody(),
    headers: { 'content-type': 'text/plain' },
  });
  assert.deepEqual(problemOf(wrongType), { status: 415, code: 'body.unsupported-type' });
  const tooLarge = await create(aBody({ description: 'x'.repeat(100_001) }));
  assert.deepEqual(problemOf(tooLarge), { status: 413, code: 'body.too-large' });
  const malformed = await fetch(`${service.url}/v1/products`, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.admin}`, 'content-type': 'application/json' },
    body: '{"name":',
  });
  assert.equal(malformed.status, 400);
  const problem = (await malformed.json()) as Record<string, unknown>;
  assert.equal(malformed.headers.get('content-type'), 'application/problem+json; charset=utf-8');
  assert.deepEqual(
    [problem.code, problem.instance, typeof problem.traceId],
    ['body.malformed', '/api/v1/products', 'string'],
  );
});
