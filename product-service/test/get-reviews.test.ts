// GET /v1/products/:id/reviews: what customers say about a product, the newest first, page by page.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { addProduct, createWorld, problemOf, type Running, type World } from './support.ts';

let world: World;
let service: Running;

before(async () => {
  world = await createWorld();
  service = await world.start();
});
after(() => world.stop());

const list = (productId: string, query = '') => service.call('GET', `/v1/products/${productId}/reviews?${query}`);

/** As the sale of an order leaves it. */
async function buy(productId: string): Promise<string> {
  const userId = randomUUIDv7();
  const reservation = { _id: randomUUIDv7(), state: 'sold', userId, items: [{ productId, quantity: 1 }] };
  await world.db.collection<typeof reservation>('reservations').insertOne(reservation);
  return userId;
}

async function review(productId: string, rating: number) {
  const token = world.keys.token(await buy(productId));
  const body = { rating, title: `${rating} stars`, text: 'As they say.' };
  const reply = await service.call('POST', `/v1/products/${productId}/reviews`, { token, body });
  assert.equal(reply.status, 201, JSON.stringify(reply.body));
  return reply.body;
}

test('getReviews: anyone sees them, the newest first, each once, also where one is written meanwhile', async () => {
  const [{ id }, { id: other }] = [await addProduct(world, service), await addProduct(world, service)];
  const written = [];
  for (const rating of [1, 2, 3, 4, 5]) written.push(await review(id, rating));
  await review(other, 1);
  const seen = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { status, body } = await list(id, `limit=2${cursor && `&cursor=${cursor}`}`);
    assert.equal(status, 200);
    if (seen.length === 0) await review(id, 3);
    seen.push(...body.items);
    cursor = body.nextCursor;
  }
  assert.deepEqual(seen, written.toReversed());
  assert.deepEqual((await service.call('GET', `/v1/products/${id}`)).body.rating, { average: 3, count: 6 });
});

test('getReviews: of a product without any, an empty list; of one that is unknown or deleted, a 404', async () => {
  const { id } = await addProduct(world, service);
  const { status, body } = await list(id);
  assert.deepEqual([status, body], [200, { items: [], nextCursor: null }]);
  await service.call('DELETE', `/v1/products/${id}`, { token: world.admin });
  for (const productId of [id, randomUUIDv7()])
    assert.deepEqual(problemOf(await list(productId)), { status: 404, code: 'product.not-found' });
  assert.deepEqual(problemOf(await list('x')), { status: 404, code: 'resource.not-found' });
});

test('getReviews: a wrong query is a 400', async () => {
  const { id } = await addProduct(world, service);
  for (const query of ['limit=0', 'limit=101', 'cursor=x', 'cursor=', 'sort=rating', 'cursor=MQ'])
    assert.deepEqual(problemOf(await list(id, query)), { status: 400, code: 'query.invalid' }, query);
});
