// `npm run e2e`: what customers and an admin can rely on, through the public API alone, of whatever platform answers at BASE_URL. It brings its own
// products and customers, so that it may run any number of times on a platform that is in use.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { type Reply, waitFor } from '@glasshouse/shared/testing';
import { type Customer, createShop } from '../support/shop.ts';
import { createPatientClient } from './patient-client.ts';

const baseUrl = (process.env.BASE_URL ?? 'http://localhost:8080').replace(/\/+$/, '');
/** Long for a busy cluster; and seldom enough to stay far below the rate limits. */
const TIMEOUT_MS = 60_000;
const PAUSE_MS = 400;

const call = createPatientClient(baseUrl);
const shop = createShop(baseUrl, { call, pauseMs: PAUSE_MS });
const usd = (amount: number) => ({ amount, currency: 'USD' });
const eventually = <T>(what: string, condition: () => Promise<T>) => waitFor(what, condition, TIMEOUT_MS, PAUSE_MS);

/** Says in a line what there is no point in starting without. */
async function findMissing(): Promise<string | undefined> {
  const products = await call('GET', '/api/v1/products?limit=1').catch((error: Error) => error);
  if (products instanceof Error)
    return `Nothing answers at ${baseUrl}: start the platform (npm start), or say in BASE_URL where it is.`;
  if (products.status !== 200 || !Array.isArray(products.body.items))
    return `${baseUrl}/api/v1/products answers ${products.status} instead of the catalogue: is Glasshouse up there?`;
  const logIn = await shop.admin().catch((error: Error) => error);
  if (logIn instanceof Error || products.body.items.length === 0)
    return `The demo data are missing at ${baseUrl} (admin@example.com and a catalogue): run the migrations with SEED_DEMO_DATA=true.`;
  admin = logIn;
  return undefined;
}

let admin: Customer;
const missing = await findMissing();
if (missing !== undefined) {
  process.stderr.write(`${missing}\n`);
  process.exit(1);
}
const carol = await shop.register();
const dave = await shop.register();

const products: string[] = [];
async function newProduct(stock: number, price?: number): Promise<string> {
  const id = await shop.createProduct(admin, stock, price);
  products.push(id);
  return id;
}
after(async () => {
  for (const id of products) await call('DELETE', `/api/v1/products/${id}`, { token: admin.token });
});

const buy = (productId: string, quantity: number, options: { paymentMethod?: string; key?: string } = {}) =>
  shop.placeOrder(carol, { items: [{ productId, quantity }], ...options });
const final = (orderId: string) => shop.finalOrder(carol, orderId, TIMEOUT_MS);

/** Waits until the order's timeline holds these events, in whatever order. */
async function assertTimeline(orderId: string, types: string[]): Promise<void> {
  await eventually(`the timeline has ${types}`, async () => {
    const timeline = await shop.timelineOf(carol, orderId);
    assert.deepEqual(timeline.map(({ type }) => type).sort(), types.toSorted());
    return true;
  });
}

async function assertStock(productId: string, units: number): Promise<void> {
  await eventually(`${units} units are in stock`, async () => (await shop.stockOf(productId)) === units);
}

function assertProblem({ status, headers, body }: Reply, expected: number, code: string): void {
  assert.equal(headers.get('content-type')?.split(';')[0], 'application/problem+json');
  assert.deepEqual([status, body.status, body.code], [expected, expected, code]);
}

test('anybody may look: the catalogue by the page and by search, its categories, the public keys, the API document', async () => {
  const { body: first } = await call('GET', '/api/v1/products?limit=2');
  const { body: second } = await call('GET', `/api/v1/products?limit=2&cursor=${first.nextCursor}`);
  const ids = [...first.items, ...second.items].map(({ id }) => id);
  assert.deepEqual([ids.length, new Set(ids).size], [4, 4], 'the second page goes on where the first has ended');

  const { body: product } = await call('GET', `/api/v1/products/${await newProduct(1)}`);
  const { body: found } = await call('GET', `/api/v1/products?search=${product.name.split(' ').at(-1)}`);
  assert.deepEqual(found.items, [product]);
  const { body: categories } = await call('GET', '/api/v1/categories');
  assert.ok(
    (categories.items as { id: string; productCount: number }[]).some(
      ({ id, productCount }) => id === product.category && productCount > 0,
    ),
  );

  const { body: jwks } = await call('GET', '/.well-known/jwks.json');
  const keys: object[] = jwks.keys;
  assert.ok(keys.length > 0 && keys.every((key) => 'kid' in key && !('d' in key)), 'no private part');
  const { body: document } = await call('GET', '/api/openapi.json');
  assert.match(document.openapi, /^3\.1\./);
  assert.ok('/api/v1/orders/{id}/timeline' in document.paths);
});

test('an order: confirmed, sold, charged, told by mail; cancelled, it is all given back', async () => {
  const productId = await newProduct(10, 1_250);
  const placed = await buy(productId, 3);
  assert.deepEqual([placed.status, placed.body.status, placed.body.total], [201, 'pending', usd(3_750)]);
  const orderId: string = placed.body.id;
  assert.equal((await final(orderId)).status, 'confirmed');
  const steps = ['order.created', 'inventory.reserved', 'payment.captured', 'order.confirmed'];
  await assertTimeline(orderId, steps);
  await assertStock(productId, 7);
  const payment = await shop.paymentOf(carol, orderId);
  assert.deepEqual([payment.status, payment.amount, payment.refunded], ['captured', usd(3_750), usd(0)]);
  await eventually('the customer has mail', async () => {
    const mails = await shop.mailsOf(admin, orderId);
    assert.deepEqual(
      mails.map(({ occasion, status, to }) => [occasion, status, to]),
      [['order.confirmed', 'sent', carol.email]],
    );
    return true;
  });

  const cancelled = await call('POST', `/api/v1/orders/${orderId}/cancel`, { token: carol.token });
  assert.deepEqual(
    [cancelled.status, cancelled.body.status, cancelled.body.cancelReason],
    [202, 'cancelled', 'customer'],
  );
  await assertTimeline(orderId, [...steps, 'order.cancelled', 'inventory.released', 'payment.refunded']);
  await assertStock(productId, 10);
  assert.deepEqual((await shop.paymentOf(carol, orderId)).refunded, usd(3_750));
});

test('a card that is declined: cancelled, and the stock is back', async () => {
  const productId = await newProduct(5);
  const { body } = await buy(productId, 5, { paymentMethod: 'pm_card_chargeDeclined' });
  const order = await final(body.id);
  assert.deepEqual([order.status, order.cancelReason], ['cancelled', 'payment_declined']);
  await assertStock(productId, 5);
  assert.equal((await shop.paymentOf(carol, order.id)).status, 'failed');
});

test('more than there is: cancelled, nothing is held and nothing charged', async () => {
  const productId = await newProduct(1);
  const { body } = await buy(productId, 2);
  const order = await final(body.id);
  assert.deepEqual([order.status, order.cancelReason], ['cancelled', 'out_of_stock']);
  await assertStock(productId, 1);
  await eventually('no charge will come', async () => (await shop.paymentOf(carol, order.id))?.status === 'void');
});

test('asked again with the same key: the same order; with another body: refused', async () => {
  const productId = await newProduct(10);
  const key = randomUUID();
  const first = await buy(productId, 2, { key });
  const again = await buy(productId, 2, { key });
  assert.deepEqual([again.status, again.body.id], [201, first.body.id]);
  assertProblem(await buy(productId, 3, { key }), 422, 'idempotency-key.reused');
  assert.equal((await final(first.body.id)).status, 'confirmed');
  await assertStock(productId, 8);
});

test("somebody else's order: as if there were none", async () => {
  const { body: order } = await buy(await newProduct(1), 1);
  const path = `/api/v1/orders/${order.id}`;
  assertProblem(await call('GET', path, { token: dave.token }), 404, 'order.not-found');
  assertProblem(await call('GET', `${path}/timeline`, { token: dave.token }), 404, 'order.not-found');
  assertProblem(await call('POST', `${path}/cancel`, { token: dave.token }), 404, 'order.not-found');
  assertProblem(await call('GET', path), 401, 'token.missing');
  assert.deepEqual((await call('GET', '/api/v1/orders', { token: dave.token })).body.items, []);
  assert.equal((await final(order.id)).status, 'confirmed', 'nor was it cancelled');
});
