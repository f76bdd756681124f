// MAX_PENDING_ORDERS: while so many orders are pending, nobody gets another one, and nothing else changes for anybody.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import { inventoryRejected, paymentCaptured } from '@glasshouse/shared/contracts';
import { createDatabase } from '@glasshouse/shared/postgres';
import { quietLogger, type Reply, waitFor } from '@glasshouse/shared/testing';
import { createAdmission } from '../src/admission.ts';
import { aProduct, createWorld, orderOf, post, type Running, type World } from './support.ts';

let world: World;
const kettle = aProduct();

before(async () => {
  world = await createWorld();
  world.products.sell(kettle);
});
after(() => world.stop());
beforeEach(() => world.postgres.pool.query("update orders set status = 'confirmed' where status = 'pending'"));

const count = async (table: string): Promise<number> =>
  (await world.postgres.pool.query(`select count(*)::int as rows from ${table}`)).rows[0].rows;
/** Everything that an order leaves behind. */
const written = () => Promise.all(['orders', 'order_items', 'timeline', 'idempotency_keys'].map(count));
const start = (maxPending: number) => world.start({ MAX_PENDING_ORDERS: String(maxPending) });

async function placeOrder(service: Running) {
  const { userId, token } = world.customer();
  const { status, body } = await post(service, token, orderOf(kettle));
  assert.equal(status, 201);
  return { orderId: body.id as string, userId };
}

function assertRefused({ status, body, headers }: Reply) {
  assert.deepEqual([status, body.code], [429, 'order.too-many-pending']);
  assert.match(headers.get('retry-after') ?? '', /^[1-9]\d*$/);
}

test('too many pending: one order more is a 429 with Retry-After that leaves nothing behind; its key works once others are decided', async () => {
  const service = await start(2);
  const { token } = world.customer();
  const key = randomUUIDv7();
  const [paid, short] = [await placeOrder(service), await placeOrder(service)];
  const before = await written();
  assertRefused(await post(service, token, orderOf(kettle), key));
  assert.deepEqual(await written(), before);

  await world.tell(paymentCaptured, { ...paid, paymentId: paid.orderId, amount: { amount: 3998, currency: 'USD' } });
  await world.tell(inventoryRejected, {
    orderId: short.orderId,
    shortages: [{ productId: kettle.id, requested: 2, available: 1 }],
  });
  const placed = await waitFor('it is accepted', async () => {
    const reply = await post(service, token, orderOf(kettle), key);
    if (reply.status !== 201) assertRefused(reply);
    return reply.status === 201 && reply;
  });
  assert.deepEqual((await post(service, token, orderOf(kettle), key)).body, placed.body);
  await service.stop();
});

test('too many pending: the repeat of an accepted request gets its order, with another body it is refused as such', async () => {
  const service = await start(1);
  const { token } = world.customer();
  const key = randomUUIDv7();
  const first = await post(service, token, orderOf(kettle), key);
  assertRefused(await post(service, token, orderOf(kettle)));
  for (let again = 0; again < 3; again += 1) {
    const { status, body } = await post(service, token, orderOf(kettle), key);
    assert.deepEqual([status, body], [201, first.body]);
  }
  const other = await post(service, token, orderOf(kettle, aProduct()), key);
  assert.deepEqual([other.status, other.body.code], [422, 'idempotency-key.reused']);
  assertRefused(await post(service, token, orderOf(kettle)));
  await service.stop();
});

test('too many pending: token, key and body are looked at before, products and prices after', async () => {
  const service = await start(1);
  const { token } = world.customer();
  await placeOrder(service);
  const order = orderOf(kettle);
  assert.equal((await service.call('POST', '/v1/orders', { body: order })).status, 401);
  assert.equal((await service.call('POST', '/v1/orders', { token, body: order })).status, 400);
  assert.equal((await post(service, token, { ...order, items: [] })).status, 422);
  const asked = world.products.asked.length;
  assertRefused(await post(service, token, orderOf(aProduct())));
  assertRefused(await post(service, token, { ...order, expectedTotal: { amount: 1, currency: 'USD' } }));
  assert.equal(world.products.asked.length, asked, 'product-service was not asked');
  await service.stop();
});

test('too many pending: an order that is refused for another reason takes no place for long', async () => {
  const service = await start(1);
  const { token } = world.customer();
  assert.equal((await post(service, token, orderOf(aProduct()))).status, 422);
  await waitFor('its place is free', async () => (await post(service, token, orderOf(kettle))).status === 201);
  await service.stop();
});

test('too many pending: the orders of another copy count as well', async () => {
  const [service, other] = [await start(2), await start(2)];
  const { token } = world.customer();
  await placeOrder(other);
  await placeOrder(other);
  assertRefused(await post(service, token, orderOf(kettle)));
  await Promise.all([service.stop(), other.stop()]);
});

test('too many pending: 0 is no limit', async () => {
  const service = await start(0);
  for (let placed = 0; placed < 5; placed += 1) await placeOrder(service);
  await service.stop();
});

test('too many pending: of a thousand who ask at once as many are admitted as there is room for, and the database is asked once', async () => {
  const database = createDatabase({ url: world.postgres.url, service: 'order-service', logger: quietLogger });
  const asked: string[] = [];
  const db = {
    query: (text: string, values?: unknown[]) => {
      asked.push(text);
      return database.query(text, values);
    },
  } as typeof database;
  const { admit } = createAdmission({ db, maxPending: 10 });
  const admitted = await Promise.all(Array.from({ length: 1_000 }, admit));
  assert.deepEqual([admitted.filter(Boolean).length, asked.length], [10, 1]);

  // Without the services' time limits.
  const { pool } = world.postgres;
  const prefix = randomUUIDv7().slice(0, 8);
  await pool.query(
    `insert into orders select ('${prefix}-0000-7000-8000-' || lpad(number::text, 12, '0'))::uuid, user_id, 'pending', null, total_amount, currency,
       shipping_address, payment_method, pay_by, created_at, updated_at, correlation_id, traceparent
     from (select * from orders limit 1) as order_before, generate_series(1, 20000) as number`,
  );
  // What the planner believes: nearly all are pending. An hour later nearly none is, and it must not look for them among all.
  await pool.query('analyze orders');
  await pool.query("update orders set status = 'confirmed' where status = 'pending'");
  const { rows } = await database.query(`explain ${asked[0]?.replace('$1', '10')}`);
  assert.match(JSON.stringify(rows), /orders_pending_by_deadline/, 'through the index that holds only pending orders');
  await database.stop();
});
