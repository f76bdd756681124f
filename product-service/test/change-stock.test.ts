// POST /v1/products/:id/stock: the journal, the limits, and one change for one key.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { addProduct, changeStock, createWorld, problemOf, type Running, type World } from './support.ts';

let world: World;
let service: Running;

before(async () => {
  world = await createWorld();
  service = await world.start();
});
after(() => world.assertBooksBalance().finally(() => world.stop()));

const change = (productId: string, delta: unknown, key?: string, reason: unknown = 'delivery') =>
  changeStock(world, service, productId, { delta, reason }, key);
const stocked = async (stock: number): Promise<string> => (await addProduct(world, service, { stock })).id;

test('changeStock: adds units and takes them away, and the journal has every change', async () => {
  const id = await stocked(10);
  const { status, body } = await change(id, 5);
  assert.deepEqual([status, body.id, body.stock], [200, id, 15]);
  assert.equal((await change(id, -15, undefined, 'stocktaking')).body.stock, 0);
  assert.equal((await service.call('GET', `/v1/products/${id}`)).body.stock, 0);
  const journal = await world.db.collection('stock_journal').find({ productId: id }).sort({ _id: 1 }).toArray();
  assert.deepEqual(
    journal.map(({ delta, reason, at }) => [delta, reason, at instanceof Date]),
    [
      [10, 'initial stock', true],
      [5, 'delivery', true],
      [-15, 'stocktaking', true],
    ],
  );
});

test('changeStock: below nothing is a 409, above a million a 422, and neither uses its key up', async () => {
  const id = await stocked(10);
  const key = randomUUIDv7();
  assert.deepEqual(problemOf(await change(id, -11, key)), { status: 409, code: 'product.not-enough-stock' });
  assert.deepEqual(problemOf(await change(id, 1_000_000, key)), { status: 422, code: 'product.too-much-stock' });
  assert.equal((await change(id, 1, key)).body.stock, 11);
  assert.deepEqual(problemOf(await change(id, -11, key)), { status: 422, code: 'idempotency-key.reused' });
});

test('changeStock: the same key and body again is answered with the product as it is now', async () => {
  const id = await stocked(10);
  const key = randomUUIDv7();
  assert.equal((await change(id, -10, key)).body.stock, 0);
  assert.equal((await change(id, 3)).body.stock, 3);
  const again = await change(id, -10, key);
  assert.deepEqual([again.status, again.body.stock], [200, 3]);
  const reordered = await changeStock(world, service, id, { reason: ' delivery ', delta: -10 }, key);
  assert.deepEqual([reordered.status, reordered.body.stock], [200, 3]);
  assert.equal((await service.call('DELETE', `/v1/products/${id}`, { token: world.admin })).status, 204);
  assert.equal((await change(id, -10, key)).status, 200);
  assert.equal((await change(id, -10)).status, 404);
});

test('changeStock: the same key and another body is a 422, before anything else is looked at', async () => {
  const id = await stocked(10);
  const key = randomUUIDv7();
  await change(id, -1, key);
  const reused = { status: 422, code: 'idempotency-key.reused' };
  assert.deepEqual(problemOf(await change(id, -100, key)), reused);
  assert.deepEqual(problemOf(await change(id, -1, key, 'broken')), reused);
});

test('changeStock: a key belongs to one admin and one product', async () => {
  const [first, second] = [await stocked(10), await stocked(10)];
  const key = randomUUIDv7();
  assert.equal((await change(first, -1, key)).body.stock, 9);
  assert.equal((await change(second, -1, key)).body.stock, 9);
  const { body } = await service.call('POST', `/v1/products/${first.toUpperCase()}/stock`, {
    token: world.keys.token(randomUUIDv7(), ['admin']),
    body: { delta: -1, reason: 'delivery' },
    headers: { 'idempotency-key': key },
  });
  assert.equal(body.stock, 8);
});

test('changeStock: without a key a 400, with a wrong body a 422, for no product a 404', async () => {
  const id = await stocked(10);
  const path = `/v1/products/${id}/stock`;
  const body = { delta: 1, reason: 'delivery' };
  for (const headers of [{}, { 'idempotency-key': '' }, { 'idempotency-key': 'x'.repeat(256) }])
    assert.deepEqual(problemOf(await service.call('POST', path, { token: world.admin, body, headers })), {
      status: 400,
      code: 'idempotency-key.missing',
    });
  const wrong = [
    {},
    { delta: 1 },
    { reason: 'x' },
    { ...body, delta: 0 },
    { ...body, delta: 1.5 },
    { ...body, delta: '1' },
    { ...body, delta: 1_000_001 },
    { ...body, delta: -1_000_001 },
    { ...body, reason: '' },
    { ...body, reason: 'a\u0000' },
    { ...body, more: 1 },
  ];
  for (const each of wrong)
    assert.deepEqual(
      problemOf(await changeStock(world, service, id, each)),
      { status: 422, code: 'body.invalid' },
      JSON.stringify(each),
    );
  assert.deepEqual(problemOf(await change(randomUUIDv7(), 1)), { status: 404, code: 'product.not-found' });
  assert.deepEqual(problemOf(await change('x', 1)), { status: 404, code: 'resource.not-found' });
  assert.equal((await service.call('GET', `/v1/products/${id}`)).body.stock, 10);
});
