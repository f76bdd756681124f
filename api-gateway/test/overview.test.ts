// An order's overview through the running gateway: what it is made of, who asks the services, and what is left of it when they fail.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { request as startRequest } from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import { type UpstreamName, upstreamNames } from '../src/http/routes.ts';
import { overviewSchema } from '../src/http/schemas.ts';
import {
  answer,
  assertProblem,
  type Behaviour,
  breakOff,
  echo,
  hang,
  startPlatform,
  type TestPlatform,
} from './harness.ts';

const userId = randomUUIDv7();
const createdAt = '2026-11-21T10:15:00.000Z';
const price = { amount: 100, currency: 'USD' };
const item = () => ({ productId: randomUUIDv7(), name: 'A thing', quantity: 1, unitPrice: price, lineTotal: price });
const order = {
  id: randomUUIDv7(),
  userId,
  status: 'confirmed',
  items: [item(), item(), item()],
  total: { amount: 300, currency: 'USD' },
  shippingAddress: { name: 'Alice', line1: '1 Main Street', city: 'Springfield', postalCode: '62701', country: 'US' },
  paymentMethod: 'pm_card_visa',
  createdAt,
  updatedAt: createdAt,
};
const payment = {
  id: randomUUIDv7(),
  orderId: order.id,
  status: 'captured',
  amount: order.total,
  refunded: { amount: 0, currency: 'USD' },
  createdAt,
  updatedAt: createdAt,
};
const mail = {
  id: randomUUIDv7(),
  orderId: order.id,
  occasion: 'order.confirmed',
  channel: 'email',
  to: 'alice@example.com',
  subject: 'Your order is confirmed',
  status: 'sent',
  createdAt,
  sentAt: createdAt,
};
const product = (id: string) => ({
  id,
  name: 'A thing',
  description: 'It does what things do.',
  category: 'kitchen',
  price,
  stock: 7,
  rating: { average: 0, count: 0 },
  version: 1,
  createdAt,
  updatedAt: createdAt,
});
const PATH = `/api/v1/orders/${order.id}/overview`;

const problem = (status: number, code: string) =>
  answer(status, { status, code, detail: `It is ${code}.` }, { 'content-type': 'application/problem+json' });
const page = (...items: unknown[]) => answer(200, { items, nextCursor: null });
const catalogue: Behaviour = (seen, response, request) =>
  answer(200, product(seen.url.split('/').at(-1) ?? ''))(seen, response, request);
const good: Partial<Record<UpstreamName, Behaviour>> = {
  'order-service': answer(200, order),
  'payment-service': page(payment),
  'product-service': catalogue,
  'notification-service': page(mail),
};

let platform: TestPlatform;
let token: string;

before(async () => {
  platform = await startPlatform({ OVERVIEW_PART_TIMEOUT_MS: '3000', UPSTREAM_BREAKER_RESET_MS: '100' });
  token = platform.keys.token(userId);
});
after(() => platform.stop());
afterEach(async () => {
  behave({});
  // A circuit that a test has opened closes with the next good answers.
  await waitFor('all is well again', async () => (await overview()).body.unavailable?.length === 0);
  for (const name of upstreamNames) platform.upstreams[name].seen.length = 0;
});

function behave(changes: Partial<Record<UpstreamName, Behaviour>>): void {
  for (const name of upstreamNames) platform.upstreams[name].behave({ ...good, ...changes }[name] ?? echo);
}
const overview = (path = PATH) => platform.gateway.call('GET', path, { token });
const products = order.items.map(({ productId }) => product(productId));
const whole = { order, payment, products, notifications: [mail], unavailable: [] };

test('overview: brings the order, its payment, its products and its mails', async () => {
  behave({});
  const { status, body, headers } = await overview();
  assert.equal(status, 200);
  assert.deepEqual(body, whole);
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.ok(overviewSchema.safeParse(body).success);
  const asked = (name: UpstreamName) => platform.upstreams[name].seen.map(({ url }) => url).sort();
  assert.deepEqual(asked('order-service'), [`/v1/orders/${order.id}`]);
  assert.deepEqual(asked('payment-service'), [`/v1/payments?orderId=${order.id}&limit=1`]);
  assert.deepEqual(asked('notification-service'), [`/v1/notifications?orderId=${order.id}&limit=100`]);
  assert.deepEqual(asked('product-service'), products.map(({ id }) => `/v1/products/${id}`).sort());
});

test('overview: the services are asked in the caller’s name, within the same trace, and hear nothing else that the caller claims', async () => {
  behave({});
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const headers = {
    'x-request-id': 'my-overview',
    traceparent: `00-${traceId}-b7ad6b7169203331-01`,
    'x-user-id': randomUUIDv7(),
    'x-forwarded-for': '10.0.0.1',
    cookie: 'a=1',
  };
  assert.equal((await platform.gateway.call('GET', PATH, { token, headers })).status, 200);
  for (const name of ['order-service', 'payment-service', 'product-service', 'notification-service'] as const)
    for (const { headers: seen } of platform.upstreams[name].seen) {
      assert.equal(seen.authorization, `Bearer ${token}`);
      assert.equal(seen['x-request-id'], 'my-overview');
      assert.match(seen.traceparent as string, new RegExp(traceId));
      assert.equal(seen['x-forwarded-for'], '127.0.0.1');
      assert.equal(seen['x-user-id'], undefined);
      assert.equal(seen.cookie, undefined);
    }
});

test('overview: without a token 401, and no service is asked', async () => {
  behave({});
  assertProblem(await platform.gateway.call('GET', PATH), 401, 'token.missing', PATH);
  assert.equal(platform.upstreams['order-service'].seen.length, 0);
});

test('overview: an order that there is not, or that is somebody else’s, is the 404 of order-service, and nobody else is asked', async () => {
  behave({ 'order-service': problem(404, 'order.not-found') });
  const reply = await overview();
  assertProblem(reply, 404, 'order.not-found', PATH);
  assert.equal(reply.body.detail, 'It is order.not-found.');
  const winding = await overview('/api/v1/orders/..%2f..%2fusers/overview');
  assert.equal(winding.status, 404);
  assert.equal(platform.upstreams['order-service'].seen.at(-1)?.url, '/v1/orders/..%2F..%2Fusers');
  for (const name of ['payment-service', 'product-service', 'notification-service'] as const)
    assert.equal(platform.upstreams[name].seen.length, 0, name);
});

test('overview: a product that was deleted is left out, and an order that is not paid yet has no payment: nothing is unavailable', async () => {
  const [gone] = order.items;
  behave({
    'payment-service': page(),
    'product-service': (seen, response, request) =>
      (seen.url.endsWith(gone?.productId ?? '') ? problem(404, 'product.not-found') : catalogue)(
        seen,
        response,
        request,
      ),
  });
  const { body } = await overview();
  assert.deepEqual(body, { ...whole, payment: null, products: products.slice(1) });
});

for (const [kind, behaviour] of Object.entries({
  'a 503': answer(503),
  'a 500': answer(500),
  'a broken connection': breakOff,
  'no answer in time': hang,
  'an answer that is no JSON': ((_seen, response) => response.end('<html>')) as Behaviour,
  'an answer of another shape': answer(200, { items: 'none' }),
}))
  test(`overview: ${kind} takes one part away, names it, and the rest still comes`, async () => {
    const without = {
      'payment-service': { ...whole, payment: null, unavailable: ['payment'] },
      'product-service': { ...whole, products: [], unavailable: ['products'] },
      'notification-service': { ...whole, notifications: [], unavailable: ['notifications'] },
    };
    for (const [name, expected] of Object.entries(without)) {
      behave({ [name]: behaviour });
      const { status, body } = await overview();
      assert.equal(status, 200);
      assert.deepEqual(body, expected, name);
    }
  });

test('overview: services that are gone are all named', async () => {
  behave({});
  const gone = ['payment-service', 'product-service', 'notification-service'] as const;
  for (const name of gone) await platform.upstreams[name].stop();
  try {
    const { status, body } = await overview();
    assert.equal(status, 200);
    assert.deepEqual(body, {
      order,
      payment: null,
      products: [],
      notifications: [],
      unavailable: ['payment', 'products', 'notifications'],
    });
  } finally {
    for (const name of gone) await platform.upstreams[name].restart();
  }
});

test('overview: without order-service there is none: 503 where it is gone or fails', async () => {
  behave({ 'order-service': answer(503) });
  assertProblem(await overview(), 503, 'upstream.unavailable', PATH);
  await platform.upstreams['order-service'].stop();
  try {
    assertProblem(await overview(), 503, 'upstream.unavailable', PATH);
  } finally {
    await platform.upstreams['order-service'].restart();
  }
});

test('overview: a part that is slow delays the answer by no more than its time-out', async () => {
  behave({ 'notification-service': hang, 'payment-service': hang, 'product-service': hang });
  const startedAt = performance.now();
  const { body } = await overview();
  assert.deepEqual(body.unavailable, ['payment', 'products', 'notifications']);
  const took = performance.now() - startedAt;
  assert.ok(took < 2 * 3000, `side by side, not one after the other: ${took} ms`);
});

test('overview: 100 products are asked for, a few at a time, each once', async (t) => {
  // Another platform, with more time: it is not the clock that this is about.
  const patient = await startPlatform({ OVERVIEW_PART_TIMEOUT_MS: '60000' });
  t.after(patient.stop);
  const { 'product-service': asked } = patient.upstreams;
  for (const [name, behaviour] of Object.entries(good)) patient.upstreams[name as UpstreamName].behave(behaviour);
  const items = Array.from({ length: 100 }, item);
  let now = 0;
  let most = 0;
  patient.upstreams['order-service'].behave(answer(200, { ...order, items }));
  asked.behave((seen, response, request) => {
    now += 1;
    most = Math.max(most, now);
    // Long enough for all that are asked for at once to be there.
    setTimeout(() => {
      now -= 1;
      catalogue(seen, response, request);
    }, 50);
  });
  const { body } = await patient.gateway.call('GET', PATH, { token: patient.keys.token(userId) });
  assert.deepEqual(
    body.products,
    items.map(({ productId }) => product(productId)),
  );
  assert.equal(asked.seen.length, 100);
  assert.ok(most <= 10, `${most} at once`);
});

test('overview: its questions count for the circuit of the service that they go to, and an open one is not asked', async (t) => {
  const slow = await startPlatform({ UPSTREAM_TIMEOUT_MS: '1000', UPSTREAM_BREAKER_RESET_MS: '60000' });
  t.after(slow.stop);
  for (const [name, behaviour] of Object.entries(good)) slow.upstreams[name as UpstreamName].behave(behaviour);
  slow.upstreams['payment-service'].behave(answer(503));
  slow.upstreams['notification-service'].behave(hang);
  const bearer = slow.keys.token(userId);
  const call = () => slow.gateway.call('GET', PATH, { token: bearer });
  await Promise.all(Array.from({ length: 5 }, call));
  const circuits = (await slow.gateway.call('GET', '/ready')).body;
  assert.equal(circuits['payment-service'], 'open');
  assert.equal(circuits['notification-service'], 'open', 'a question has the time that every request has');
  assert.equal(circuits['order-service'], 'closed');
  assert.deepEqual((await call()).body.unavailable, ['payment', 'notifications']);
  assert.equal(slow.upstreams['payment-service'].seen.length, 5);
  const payments = await slow.gateway.call('GET', '/api/v1/payments', { token: bearer });
  assert.equal(payments.status, 503, 'one circuit for both');
});

test('overview: what takes longer than an overview waits is given up, and no circuit hears of it', async (t) => {
  const hasty = await startPlatform({ OVERVIEW_PART_TIMEOUT_MS: '200', UPSTREAM_TIMEOUT_MS: '60000' });
  t.after(hasty.stop);
  for (const [name, behaviour] of Object.entries(good)) hasty.upstreams[name as UpstreamName].behave(behaviour);
  const slow = ['payment-service', 'product-service', 'notification-service'] as const;
  let givenUp = 0;
  const held: Behaviour = (_seen, response) => response.on('close', () => (givenUp += 1));
  for (const name of slow) hasty.upstreams[name].behave(held);
  const bearer = hasty.keys.token(userId);
  for (let n = 0; n < 6; n += 1) {
    const { body } = await hasty.gateway.call('GET', PATH, { token: bearer });
    assert.deepEqual(body.unavailable, ['payment', 'products', 'notifications']);
  }
  const { body: circuits } = await hasty.gateway.call('GET', '/ready');
  for (const name of slow) assert.equal(circuits[name], 'closed', name);
  const asked = () => slow.flatMap((name) => hasty.upstreams[name].seen).length;
  await waitFor('each question was given up', () => givenUp === asked());
});

test('overview: many large ones together leave the catalogue room', async (t) => {
  const small = await startPlatform({ UPSTREAM_MAX_IN_FLIGHT: '8', OVERVIEW_PART_TIMEOUT_MS: '60000' });
  t.after(small.stop);
  const { 'product-service': products } = small.upstreams;
  for (const [name, behaviour] of Object.entries(good)) small.upstreams[name as UpstreamName].behave(behaviour);
  const items = Array.from({ length: 100 }, item);
  small.upstreams['order-service'].behave(answer(200, { ...order, items }));
  const waiting: (() => void)[] = [];
  let isReleased = false;
  products.behave((seen, response, request) => {
    const reply = () => catalogue(seen, response, request);
    if (isReleased || seen.url === '/v1/categories') reply();
    else waiting.push(reply);
  });
  const bearer = small.keys.token(userId);
  const overviews = Array.from({ length: 3 }, () => small.gateway.call('GET', PATH, { token: bearer }));
  await waitFor('all have asked for their mails', () => small.upstreams['notification-service'].seen.length === 3);
  await waitFor('products are asked for', () => waiting.length >= 2);
  for (let n = 0; n < 5; n += 1)
    assert.equal((await small.gateway.call('GET', '/api/v1/categories')).status, 200, 'there is room');
  assert.equal(waiting.length, 2, 'a quarter of it is taken');
  isReleased = true;
  for (const reply of waiting) reply();
  for (const { body } of await Promise.all(overviews)) assert.equal(body.products.length, 100);
});

test('overview: 4xx never count for a circuit', async () => {
  behave({ 'payment-service': problem(422, 'x.y'), 'product-service': problem(404, 'product.not-found') });
  for (let n = 0; n < 8; n += 1) assert.equal((await overview()).status, 200);
  const { body } = await platform.gateway.call('GET', '/ready');
  assert.equal(body['payment-service'], 'closed');
  assert.equal(body['product-service'], 'closed');
});

test('overview: a client that goes away takes its questions with it', async () => {
  let closed = 0;
  const held: Behaviour = (_seen, response) => response.on('close', () => (closed += 1));
  behave({ 'payment-service': held, 'notification-service': held });
  const { port } = platform.gateway;
  const request = startRequest({ port, host: '127.0.0.1', path: PATH, headers: { authorization: `Bearer ${token}` } });
  request.on('error', () => {});
  const startedAt = performance.now();
  request.end();
  const asked = () =>
    platform.upstreams['payment-service'].seen.length + platform.upstreams['notification-service'].seen.length;
  await waitFor('both were asked', () => asked() === 2);
  request.destroy();
  await waitFor('both were told', () => closed === 2);
  assert.ok(performance.now() - startedAt < 3000, 'before the time-out would have');
});
