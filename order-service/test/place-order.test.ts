// POST /v1/orders: what is accepted, what is refused and how, and that one key makes one order.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { orderCreated, productDeleted, productUpdated } from '@glasshouse/shared/contracts';
import { waitFor } from '@glasshouse/shared/testing';
import { aProduct, createWorld, orderOf, post, type Running, shippingAddress, type World } from './support.ts';

let world: World;
let service: Running;
const kettle = aProduct(1999);
const mug = aProduct(350);

before(async () => {
  world = await createWorld();
  service = await world.start();
  await world.list(kettle, mug);
});
after(() => world.stop());

const ordersOf = async (userId: string): Promise<number> =>
  (await world.postgres.pool.query('select count(*)::int as orders from orders where user_id = $1', [userId])).rows[0]
    .orders;
const createdOf = (orderId: string) =>
  waitFor('order.created is out', () => world.broker.eventsOf(orderCreated, orderId)[0]);

test('placeOrder: answers 201 with a pending order at the price list’s prices, and tells the others', async () => {
  const { userId, token } = world.customer();
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const { status, body, headers } = await post(service, token, orderOf(kettle, mug), undefined, {
    'x-request-id': 'request-7',
    traceparent,
  });
  assert.equal(status, 201);
  assert.equal(headers.get('location'), `/api/v1/orders/${body.id}`);
  assert.equal(headers.get('x-request-id'), 'request-7');
  const { id, createdAt, updatedAt, ...rest } = body;
  assert.deepEqual(rest, {
    userId,
    status: 'pending',
    items: [kettle, mug].map(({ id: productId, name, price }) => ({
      productId,
      name,
      quantity: 2,
      unitPrice: price,
      lineTotal: { amount: price.amount * 2, currency: 'USD' },
    })),
    total: { amount: 4698, currency: 'USD' },
    shippingAddress,
    paymentMethod: 'pm_card_visa',
  });
  assert.equal(createdAt, updatedAt);

  const event = await createdOf(id);
  assert.equal(event.source, 'order-service');
  assert.equal(event.correlationid, 'request-7');
  assert.equal(event.causationid, undefined);
  assert.deepEqual(event.data, {
    orderId: id,
    userId,
    items: [kettle, mug].map(({ id: productId, name, price }) => ({ productId, name, quantity: 2, unitPrice: price })),
    total: { amount: 4698, currency: 'USD' },
    paymentMethod: 'pm_card_visa',
    shippingAddress,
    payBy: new Date(Date.parse(createdAt) + 120_000).toISOString(),
  });
  assert.deepEqual((await service.call('GET', `/v1/orders/${id}`, { token })).body, body);
});

test('placeOrder: takes 100 items of 10,000 each, and asks product-service for those that the price list lacks', async () => {
  const { token } = world.customer();
  const products = Array.from({ length: 100 }, () => aProduct(999_999_999));
  world.products.sell(...products);
  const order = {
    ...orderOf(...products),
    items: products.map(({ id }) => ({ productId: id, quantity: 10_000 })),
    expectedTotal: { amount: 999_999_999_000_000, currency: 'USD' },
  };
  const { status, body } = await post(service, token, order);
  assert.equal(status, 201, JSON.stringify(body));
  assert.equal(body.total.amount, 999_999_999_000_000);
  const asked = world.products.asked.length;
  assert.equal((await post(service, token, order)).status, 201);
  assert.equal(world.products.asked.length, asked, 'the second time the price list knows them');
});

test('placeOrder: a total that differs from the expected one, in whichever way, is a 409; the right one goes through', async () => {
  const { userId, token } = world.customer();
  for (const expectedTotal of [
    { amount: 3997, currency: 'USD' },
    { amount: 3999, currency: 'USD' },
    { amount: 1999, currency: 'USD' },
    { amount: 0, currency: 'USD' },
    { amount: 3998, currency: 'EUR' },
  ]) {
    const { status, body } = await post(service, token, { ...orderOf(kettle), expectedTotal });
    assert.deepEqual([status, body.code], [409, 'order.price-changed'], JSON.stringify(expectedTotal));
  }
  assert.equal(await ordersOf(userId), 0);
  const right = { ...orderOf(kettle), expectedTotal: { amount: 3998, currency: 'USD' } };
  assert.equal((await post(service, token, right)).status, 201);
});

test('placeOrder: when a price has changed, who expects the old total is told, and orders at the new one under the same key', async () => {
  const { userId, token } = world.customer();
  const [moody, key] = [aProduct(500), randomUUIDv7()];
  const at = (amount: number) => ({ ...orderOf(moody), expectedTotal: { amount, currency: 'USD' } });
  await world.list(moody);
  await world.list({ ...moody, version: 2, price: { amount: 700, currency: 'USD' } });
  const refused = await post(service, token, at(1000), key);
  assert.deepEqual([refused.status, refused.body.code], [409, 'order.price-changed']);
  const placed = await post(service, token, at(1400), key);
  assert.equal(placed.status, 201);
  assert.equal(placed.body.total.amount, 1400);

  await world.list({ ...moody, version: 3, price: { amount: 900, currency: 'USD' } });
  // The key is looked at first: the same request has its order, another one under it is refused as such, whatever it expects.
  const again = await post(service, token, at(1400), key);
  assert.deepEqual([again.status, again.body], [201, placed.body]);
  for (const amount of [1000, 1800]) {
    const { status, body } = await post(service, token, at(amount), key);
    assert.deepEqual([status, body.code], [422, 'idempotency-key.reused']);
  }
  assert.equal((await post(service, token, orderOf(moody), key)).status, 422, 'nothing expected is another body');
  assert.equal((await post(service, token, at(1400))).body.code, 'order.price-changed');
  assert.equal(await ordersOf(userId), 1);
});

test('placeOrder: a product that nobody knows, one that was deleted, or two currencies: 422', async () => {
  const { userId, token } = world.customer();
  const [euro, deleted, deletedUnheard] = [aProduct(100, 'EUR'), aProduct(), aProduct()];
  await world.list(euro, deleted);
  await world.tell(productDeleted, { productId: deleted.id, version: 2 });
  await world.tell(productDeleted, { productId: deletedUnheard.id, version: 2 });
  await waitFor('the deletions are known', async () => {
    const { rows } = await world.postgres.pool.query('select 1 from price_list where deleted');
    return rows.length === 2;
  });
  for (const [products, code] of [
    [[aProduct()], 'order.unknown-product'],
    [[kettle, deleted], 'order.unknown-product'],
    [[deletedUnheard], 'order.unknown-product'],
    [[kettle, euro], 'order.mixed-currencies'],
  ] as const) {
    const { status, body } = await post(service, token, orderOf(...products));
    assert.equal(status, 422);
    assert.equal(body.code, code);
  }
  assert.equal(await ordersOf(userId), 0);
});

test('placeOrder: with product-service down, what the price list knows is ordered and the rest is a 503 with Retry-After', async () => {
  const { token } = world.customer();
  const unheard = aProduct();
  world.products.sell(unheard);
  world.products.setDown(true);
  assert.equal((await post(service, token, orderOf(kettle))).status, 201);
  const key = randomUUIDv7();
  const refused = await post(service, token, orderOf(kettle, unheard), key);
  assert.equal(refused.status, 503);
  assert.equal(refused.body.code, 'product-service.unavailable');
  assert.match(refused.headers.get('retry-after') ?? '', /^\d+$/);
  world.products.setDown(false);
  const accepted = await waitFor('it can be ordered again, under the same key', async () => {
    const reply = await post(service, token, orderOf(kettle, unheard), key);
    return reply.status === 201 && reply;
  });
  assert.equal(accepted.body.items[1].productId, unheard.id);
});

const withItem = (change: object) => ({
  ...orderOf(kettle),
  items: [{ productId: kettle.id, quantity: 1, ...change }],
});
const withAddress = (change: object) => ({ ...orderOf(kettle), shippingAddress: { ...shippingAddress, ...change } });
const wrongBodies: [string, unknown, string?][] = [
  ['no body', undefined, 'items'],
  ['null', null, ''],
  ['a list', [], ''],
  ['a text', 'order', ''],
  ['no items', { ...orderOf(), items: [] }, 'items'],
  ['101 items', orderOf(...Array.from({ length: 101 }, () => aProduct())), 'items'],
  ['items that are no list', { ...orderOf(kettle), items: { 0: { productId: kettle.id, quantity: 1 } } }, 'items'],
  ['a product twice', orderOf(kettle, mug, kettle), 'items'],
  ['a product twice, once in capitals', orderOf(kettle, { id: kettle.id.toUpperCase() }), 'items'],
  ['quantity 0', withItem({ quantity: 0 }), 'items.0.quantity'],
  ['a negative quantity', withItem({ quantity: -1 }), 'items.0.quantity'],
  ['quantity 10,001', withItem({ quantity: 10_001 }), 'items.0.quantity'],
  ['half a piece', withItem({ quantity: 0.5 }), 'items.0.quantity'],
  ['a quantity in words', withItem({ quantity: '2' }), 'items.0.quantity'],
  ['a quantity beyond 2^53', withItem({ quantity: 1e300 }), 'items.0.quantity'],
  ['a product id that is none', withItem({ productId: 'kettle' }), 'items.0.productId'],
  ['a price from the client', withItem({ unitPrice: { amount: 1, currency: 'USD' } }), 'items.0.unitPrice'],
  ['an unknown field', { ...orderOf(kettle), status: 'confirmed' }, 'status'],
  ['an unknown field in the address', withAddress({ phone: '1' }), 'shippingAddress.phone'],
  ['no address', { ...orderOf(kettle), shippingAddress: undefined }, 'shippingAddress'],
  ['a name of blanks', withAddress({ name: '   ' }), 'shippingAddress.name'],
  ['a name with NUL', withAddress({ name: 'A\u0000da' }), 'shippingAddress.name'],
  ['half a surrogate pair', withAddress({ city: '\ud800' }), 'shippingAddress.city'],
  ['a line that is too long', withAddress({ line1: 'x'.repeat(201) }), 'shippingAddress.line1'],
  ['a region that is null', withAddress({ region: null }), 'shippingAddress.region'],
  ['a country in words', withAddress({ country: 'USA' }), 'shippingAddress.country'],
  ['a country that is none', withAddress({ country: 'XX' }), 'shippingAddress.country'],
  ['a country in small letters', withAddress({ country: 'us' }), 'shippingAddress.country'],
  ['a card that is not a test card', { ...orderOf(kettle), paymentMethod: 'pm_card_amex' }, 'paymentMethod'],
  ['no card', { ...orderOf(kettle), paymentMethod: undefined }, 'paymentMethod'],
  [
    'a negative expected total',
    { ...orderOf(kettle), expectedTotal: { amount: -1, currency: 'USD' } },
    'expectedTotal.amount',
  ],
  [
    'an expected total in cents and a half',
    { ...orderOf(kettle), expectedTotal: { amount: 1.5, currency: 'USD' } },
    'expectedTotal.amount',
  ],
  [
    'an expected total in no currency',
    { ...orderOf(kettle), expectedTotal: { amount: 1, currency: 'dollars' } },
    'expectedTotal.currency',
  ],
];
test('placeOrder: a body that breaks the contract is a 422 that names the field, and orders nothing', async () => {
  const { userId, token } = world.customer();
  for (const [what, body, path] of wrongBodies) {
    const reply = await post(service, token, body, undefined, { 'content-type': 'application/json' });
    assert.equal(reply.status, 422, `${what}: ${JSON.stringify(reply.body)}`);
    assert.equal(reply.headers.get('content-type')?.split(';')[0], 'application/problem+json', what);
    assert.equal(reply.body.code, 'body.invalid', what);
    assert.deepEqual(reply.body.errors[0]?.path, path, what);
  }
  assert.equal(await ordersOf(userId), 0);
});

test('placeOrder: every optional field is taken, text is trimmed, and any script is kept', async () => {
  const { token } = world.customer();
  const full = { ...shippingAddress, name: '  Áda 愛 🏠 ', line2: 'Flat 2', region: 'IL' };
  const order = {
    ...orderOf(kettle),
    shippingAddress: full,
    items: [{ productId: kettle.id.toUpperCase(), quantity: 1 }],
  };
  const { status, body } = await post(service, token, order);
  assert.equal(status, 201);
  assert.deepEqual(body.shippingAddress, { ...full, name: 'Áda 愛 🏠' });
  assert.equal(body.items[0].productId, kettle.id);
});

test('Idempotency-Key: missing, too long or not printable ASCII is a 400, before the body is judged', async () => {
  const { userId, token } = world.customer();
  const missing = await service.call('POST', '/v1/orders', { token, body: {} });
  assert.equal(missing.status, 400);
  assert.equal(missing.body.code, 'idempotency-key.missing');
  for (const key of ['', 'k'.repeat(256), 'clé', 'a\tb'])
    assert.equal((await post(service, token, orderOf(kettle), key)).status, 400, JSON.stringify(key));
  assert.equal(await ordersOf(userId), 0);
  assert.equal((await post(service, token, orderOf(kettle), '~'.repeat(255))).status, 201);
});

test('Idempotency-Key: the same request again is answered with the same order, whatever prices have become', async () => {
  const { userId, token } = world.customer();
  const [moody, key] = [aProduct(500), randomUUIDv7()];
  await world.list(moody);
  const order = { ...orderOf(moody), expectedTotal: { amount: 1000, currency: 'USD' } };
  const first = await post(service, token, order, key);
  assert.equal(first.status, 201);
  await world.list({ ...moody, version: 2, price: { amount: 700, currency: 'USD' } });
  const { expectedTotal, items, ...rest } = order;
  const reordered = { ...rest, expectedTotal: { currency: expectedTotal.currency, amount: 1000 }, items };
  for (const body of [order, reordered]) {
    const again = await post(service, token, body, key);
    assert.equal(again.status, 201);
    assert.equal(again.headers.get('location'), first.headers.get('location'));
    assert.deepEqual(again.body, first.body);
  }
  await world.tell(productDeleted, { productId: moody.id, version: 3 });
  const other = world.customer();
  await waitFor('it is deleted', async () => (await post(service, other.token, orderOf(moody))).status === 422);
  assert.equal((await post(service, token, order, key)).body.id, first.body.id);
  assert.equal(await ordersOf(userId), 1);
  assert.equal(world.broker.eventsOf(orderCreated, first.body.id).length, 1);
});

test('Idempotency-Key: the answer is the order as it is now', async () => {
  const { token } = world.customer();
  const key = randomUUIDv7();
  const first = await post(service, token, orderOf(kettle), key);
  await world.postgres.pool.query("update orders set status = 'confirmed' where id = $1", [first.body.id]);
  const again = await post(service, token, orderOf(kettle), key);
  assert.equal(again.status, 201);
  assert.equal(again.body.status, 'confirmed');
});

test('Idempotency-Key: ten at once, on two copies of the service, make one order', async () => {
  const second = await world.start();
  const { userId, token } = world.customer();
  const key = randomUUIDv7();
  const replies = await Promise.all(
    Array.from({ length: 10 }, (_, index) =>
      post(index % 2 === 0 ? service : second, token, orderOf(kettle, mug), key),
    ),
  );
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([201]));
  assert.equal(new Set(replies.map(({ headers }) => headers.get('location'))).size, 1);
  for (const reply of replies) assert.deepEqual(reply.body, replies[0]?.body);
  assert.equal(await ordersOf(userId), 1);
  await createdOf(replies[0]?.body.id);
  assert.equal(world.broker.events.filter((event) => (event.data as { userId?: string }).userId === userId).length, 1);
  await second.stop();
});

test('Idempotency-Key: with another body a 422, also when both come at once', async () => {
  const { userId, token } = world.customer();
  const key = randomUUIDv7();
  const bodies = Array.from({ length: 6 }, (_, index) => withItem({ quantity: index + 1 }));
  const replies = await Promise.all(bodies.map((body) => post(service, token, body, key)));
  assert.deepEqual(replies.map(({ status }) => status).sort(), [201, 422, 422, 422, 422, 422]);
  for (const { status, body } of replies) if (status === 422) assert.equal(body.code, 'idempotency-key.reused');
  assert.equal(await ordersOf(userId), 1);
});

test('Idempotency-Key: means something only for its user', async () => {
  const [ada, bob] = [world.customer(), world.customer()];
  const key = randomUUIDv7();
  const hers = await post(service, ada.token, orderOf(kettle), key);
  const his = await post(service, bob.token, orderOf(mug), key);
  assert.deepEqual([hers.status, his.status], [201, 201]);
  assert.notEqual(hers.body.id, his.body.id);
  assert.equal(his.body.userId, bob.userId);
});

test('Idempotency-Key: a refused request does not use it up', async () => {
  const { token } = world.customer();
  const [key, unheard] = [randomUUIDv7(), aProduct()];
  assert.equal((await post(service, token, orderOf(unheard), key)).status, 422);
  assert.equal((await post(service, token, withItem({ quantity: 0 }), key)).status, 422);
  const wrongTotal = { ...orderOf(kettle), expectedTotal: { amount: 1, currency: 'USD' } };
  assert.equal((await post(service, token, wrongTotal, key)).status, 409);
  world.products.sell(unheard);
  assert.equal((await post(service, token, orderOf(unheard), key)).status, 201);
});

test('price list: the latest version counts, in whatever order the news comes in', async () => {
  const { token } = world.customer();
  const product = aProduct(100);
  const version = (number: number) => ({
    ...product,
    version: number,
    price: { amount: number * 100, currency: 'USD' },
  });
  await world.list(version(3));
  await world.tell(productDeleted, { productId: product.id, version: 2 });
  const sentinel = aProduct();
  for (const number of [2, 1]) {
    const { id, ...rest } = version(number);
    await world.tell(productUpdated, { productId: id, ...rest, description: '', category: 'kitchen' });
  }
  await world.list(sentinel);
  const { body } = await post(service, token, orderOf(product));
  assert.deepEqual(body.items[0].unitPrice, { amount: 300, currency: 'USD' });
});
