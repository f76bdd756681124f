// POST /v1/products/:id/reviews: who has bought a product may review it once, and the product's rating follows exactly.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { productUpdated } from '@glasshouse/shared/contracts';
import { createDatabase, inTransaction } from '@glasshouse/shared/mongo';
import { quietLogger, waitFor } from '@glasshouse/shared/testing';
import { lockProduct } from '../src/data/product-repository.ts';
import { routes } from '../src/http/routes.ts';
import { addProduct, anOrder, createWorld, problemOf, type Running, type World } from './support.ts';

let world: World;
let copies: [Running, Running];
let service: Running;

before(async () => {
  world = await createWorld();
  copies = [await world.start(), await world.start()];
  [service] = copies;
});
after(() => world.assertBooksBalance().finally(() => world.stop()));

const stocked = async (): Promise<string> => (await addProduct(world, service, { stock: 100 })).id;
const read = async (productId: string) => (await service.call('GET', `/v1/products/${productId}`)).body;
const aReview = (overrides: Record<string, unknown> = {}) => ({
  rating: 4,
  title: 'Boils fast',
  text: 'And it looks good on the hob.',
  ...overrides,
});

const review = (productId: string, userId: string, body: unknown = aReview(), copy = service) =>
  copy.call('POST', `/v1/products/${productId}/reviews`, { token: world.keys.token(userId), body });

async function place(userId: string, productIds: string[]) {
  const order = anOrder(
    productIds.map((productId) => ({ productId, quantity: 1 })),
    { userId },
  );
  const created = order.created();
  await world.tell(created);
  await world.handled(created);
  return order;
}

/** Somebody who has paid for the products. */
async function aBuyer(...productIds: string[]) {
  const userId = randomUUIDv7();
  const order = await place(userId, productIds);
  const confirmed = order.confirmed();
  await world.tell(confirmed);
  await world.handled(confirmed);
  return { userId, order };
}

const notBought = { status: 403, code: 'review.not-bought' };
const exists = { status: 409, code: 'review.exists' };

test('createReview: answers 201 with the review, and the product has its rating, with the version and the time that it had', async () => {
  const productId = await stocked();
  const { userId } = await aBuyer(productId);
  const before = await read(productId);
  const { status, body, headers } = await review(productId, userId, aReview({ title: ' Boils fast ' }));
  assert.deepEqual([status, headers.get('location')], [201, null]);
  const { id, createdAt, ...rest } = body;
  assert.deepEqual(rest, { productId, ...aReview() });
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000);
  assert.deepEqual(await read(productId), { ...before, rating: { average: 4, count: 1 } });

  // Nobody is told of the review: the first that is told is the change after it.
  const change = { token: world.admin, body: { version: 1, name: 'Other' } };
  assert.equal((await service.call('PATCH', `/v1/products/${productId}`, change)).body.rating.count, 1);
  const told = await waitFor('product.updated', () => {
    const events = world.broker.eventsOf(productUpdated, productId);
    return events.length > 0 && events;
  });
  assert.deepEqual(
    told.map(({ data }) => [data.version, data.name]),
    [[2, 'Other']],
  );
  assert.deepEqual((await read(productId)).rating, { average: 4, count: 1 });
});

test('createReview: by whom has bought nothing, something else, or not paid, answers 403 and rates nothing', async () => {
  const [productId, other] = [await stocked(), await stocked()];
  const { userId: buyerOfOther } = await aBuyer(other);
  const waiting = randomUUIDv7();
  await place(waiting, [productId]);
  const tooLate = randomUUIDv7();
  const late = anOrder([{ productId, quantity: 1 }], { userId: tooLate, payInMs: -1_000 }).created();
  const cancelling = randomUUIDv7();
  const cancelled = (await place(cancelling, [productId])).cancelled();
  await world.tell(late, cancelled);
  await world.handled(late, cancelled);
  for (const userId of [randomUUIDv7(), buyerOfOther, waiting, tooLate, cancelling])
    assert.deepEqual(problemOf(await review(productId, userId)), notBought);
  assert.deepEqual((await read(productId)).rating, { average: 0, count: 0 });
});

test('createReview: who may not, or has done so, is refused without a turn among the changes of stock and without a lock', async () => {
  const productId = await stocked();
  const { userId } = await aBuyer(productId);
  assert.equal((await review(productId, userId)).status, 201);
  const db = createDatabase({ url: world.mongo.url, service: 'product-service', logger: quietLogger });
  const inTurn = () => assert.fail('it took a turn');
  const row = routes({ db, inTurn }).find(({ operationId }) => operationId === 'createReview');
  assert.ok(row);
  const call = { body: aReview(), query: {}, idempotencyKey: '', operation: '', clientIp: '' };
  try {
    await inTransaction(db, async (tx) => {
      // Held by somebody else: whoever wants to lock it waits for the end of this.
      await lockProduct(tx, productId);
      for (const [who, id, code] of [
        [randomUUIDv7(), productId, notBought.code],
        [userId, productId, exists.code],
        [userId, randomUUIDv7(), 'product.not-found'],
      ] as const)
        await assert.rejects(row.handle({ ...call, params: { id }, user: { userId: who, roles: [] } }), { code });
    });
  } finally {
    await db.stop();
  }
});

test('createReview: of an order with several products, each may be reviewed', async () => {
  const products = [await stocked(), await stocked()];
  const { userId } = await aBuyer(...products);
  for (const productId of products) assert.equal((await review(productId, userId)).status, 201);
});

test('createReview: who has returned the product may not review it; a review from before stays and counts', async () => {
  const productId = await stocked();
  const [returned, reviewed] = [await aBuyer(productId), await aBuyer(productId)];
  const kept = await review(productId, reviewed.userId, aReview({ rating: 5 }));
  assert.equal(kept.status, 201);
  const ends = [returned.order.cancelled(), reviewed.order.cancelled()];
  await world.tell(...ends);
  await world.handled(...ends);
  for (const { userId } of [returned, reviewed])
    assert.deepEqual(problemOf(await review(productId, userId)), notBought);
  const { items } = (await service.call('GET', `/v1/products/${productId}/reviews`)).body;
  assert.deepEqual(items, [kept.body]);
  assert.deepEqual((await read(productId)).rating, { average: 5, count: 1 });
});

test('createReview: a second one of the same customer is a 409, also after a second purchase', async () => {
  const productId = await stocked();
  const { userId } = await aBuyer(productId);
  assert.equal((await review(productId, userId)).status, 201);
  assert.deepEqual(problemOf(await review(productId, userId, aReview({ rating: 1 }))), exists);
  const again = (await place(userId, [productId])).confirmed();
  await world.tell(again);
  await world.handled(again);
  assert.deepEqual(problemOf(await review(productId, userId, aReview({ rating: 1 }))), exists);
  assert.deepEqual((await read(productId)).rating, { average: 4, count: 1 });
});

test('createReview: two at the same moment of one customer, at two copies: one 201, one 409', async () => {
  for (let round = 0; round < 5; round += 1) {
    const productId = await stocked();
    const { userId } = await aBuyer(productId);
    const replies = await Promise.all(copies.map((copy) => review(productId, userId, aReview({ rating: 2 }), copy)));
    assert.deepEqual(replies.map(({ status }) => status).sort(), [201, 409]);
    assert.deepEqual((await read(productId)).rating, { average: 2, count: 1 });
  }
});

test('createReview: of several customers at once, at two copies, while the stock is sold: count and average are right', async () => {
  const productId = await stocked();
  const ratings = [5, 4, 4, 1, 5, 3, 2, 5, 5, 4, 3, 1];
  const buyers = await Promise.all(ratings.map(() => aBuyer(productId)));
  const order = anOrder([{ productId, quantity: 3 }]);
  const [replies] = await Promise.all([
    Promise.all(
      buyers.map(({ userId }, index) =>
        review(productId, userId, aReview({ rating: ratings[index] }), copies[index % copies.length]),
      ),
    ),
    world.tell(order.created()),
  ]);
  for (const { status, body } of replies) assert.equal(status, 201, JSON.stringify(body));
  const { rating, stock } = await waitFor('the order is held', async () => {
    const product = await read(productId);
    return product.stock < 100 - ratings.length && product;
  });
  assert.deepEqual(rating, { average: 3.5, count: 12 });
  assert.equal(stock, 100 - ratings.length - 3);
  assert.equal((await service.call('GET', `/v1/products/${productId}/reviews`)).body.items.length, 12);
});

test('createReview: of a product that is unknown or deleted is a 404, whoever asks', async () => {
  const productId = await stocked();
  const { userId } = await aBuyer(productId);
  const gone = { status: 404, code: 'product.not-found' };
  assert.deepEqual(problemOf(await review(randomUUIDv7(), userId)), gone);
  await service.call('DELETE', `/v1/products/${productId}`, { token: world.admin });
  assert.deepEqual(problemOf(await review(productId, userId)), gone);
  assert.deepEqual(problemOf(await review(productId, randomUUIDv7())), gone);
  assert.deepEqual(problemOf(await review('x', userId)), { status: 404, code: 'resource.not-found' });
});

test('createReview: without a token a 401, with a wrong body a 422 before anything else is looked at', async () => {
  const productId = await stocked();
  assert.deepEqual(problemOf(await service.call('POST', `/v1/products/${productId}/reviews`, { body: aReview() })), {
    status: 401,
    code: 'token.missing',
  });
  const wrong = [
    ['rating', { rating: 0 }],
    ['rating', { rating: 6 }],
    ['rating', { rating: 4.5 }],
    ['rating', { rating: '5' }],
    ['rating', { rating: undefined }],
    ['title', { title: '  ' }],
    ['title', { title: 'x'.repeat(201) }],
    ['text', { text: undefined }],
    ['text', { text: 'x'.repeat(5_001) }],
    ['text', { text: 'a\u0000b' }],
    ['userId', { userId: randomUUIDv7() }],
  ] as const;
  for (const [path, overrides] of wrong) {
    const reply = await review(productId, randomUUIDv7(), aReview(overrides));
    assert.deepEqual(problemOf(reply), { status: 422, code: 'body.invalid' }, JSON.stringify(overrides));
    assert.deepEqual(
      reply.body.errors.map((error: { path: string }) => error.path),
      [path],
    );
  }
});
