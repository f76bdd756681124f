// What the platform tells those who watch: one order is one trace, the metrics that dashboards and alerts name are there, every log line says whose
// work it is, and nowhere does it say what is nobody's business.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID, randomUUIDv7 } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { createClient, waitFor } from '@glasshouse/shared/testing';
import pg from 'pg';
import type { Platform } from '../infrastructure/local/src/platform.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../infrastructure/local/src/traces/receiver.ts';
import { metricsNamed } from './support/observability.ts';
import { startTestPlatform } from './support/platform.ts';
import { address, type Customer, createShop, type Shop } from './support/shop.ts';
import { isStatement, outlineOf } from './support/trace-tree.ts';

/** What must be seen nowhere: values that can't be there by chance. */
const marked = {
  email: `${randomBytes(8).toString('hex')}@example.com`,
  password: randomBytes(12).toString('hex'),
  wrongPassword: randomBytes(12).toString('hex'),
  name: `Name ${randomBytes(8).toString('hex')}`,
  street: `${randomBytes(8).toString('hex')} Street`,
  card: `42424242${Date.now()}`,
};
const secrets: string[] = Object.values(marked);

let platform: Platform;
let receiver: OtlpReceiver;
let shop: Shop;
let customer: Customer;
let productId: string;
let call: ReturnType<typeof createClient>;

before(async () => {
  receiver = await startOtlpReceiver();
  platform = await startTestPlatform({
    portOffset: 5_325,
    env: {
      LOG_LEVEL: 'debug',
      // An empty setting is none: the usual port.
      METRICS_PORT: '',
      RATE_LIMIT_PER_MINUTE: '100000',
      AUTH_RATE_LIMIT_PER_MINUTE: '100000',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_METRIC_EXPORT_INTERVAL: '1000',
      OTEL_BSP_SCHEDULE_DELAY: '200',
    },
  });
  shop = createShop(platform.gatewayUrl);
  call = createClient(platform.gatewayUrl);
  const admin = await shop.admin();
  productId = await shop.createProduct(admin, 10);
  const { email, password, name } = marked;
  const { status } = await call('POST', '/api/v1/auth/register', { body: { email, password, name } });
  assert.equal(status, 201);
  customer = await shop.logIn(email, password);
  secrets.push(admin.token, customer.token);
  // Once it has heard of the product, order-service asks nobody for its price.
  const { body } = await shop.placeOrder(customer, { items: [{ productId, quantity: 1 }] });
  await waitFor('the first order', async () => (await shop.orderOf(customer, body.id)).status === 'confirmed');
});
after(async () => {
  await platform?.stop();
  await receiver?.close();
});

const newTrace = () => {
  const traceId = randomBytes(16).toString('hex');
  return { traceId, traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` };
};
const spansOf = (id: string) => receiver.spans.filter(({ traceId }) => traceId === id);

/** Places an order in a trace of its own, and waits until it is decided and its mail is out. */
async function placeTraced(paymentMethod: string, status: string) {
  const { traceId, traceparent } = newTrace();
  const placed = await call('POST', '/api/v1/orders', {
    token: customer.token,
    headers: { 'idempotency-key': randomUUID(), traceparent },
    body: {
      items: [{ productId, quantity: 1 }],
      shippingAddress: { ...address, name: marked.name, line1: marked.street },
      paymentMethod,
    },
  });
  assert.equal(placed.status, 201);
  const orderId: string = placed.body.id;
  await waitFor(`the order is ${status}`, async () => (await shop.orderOf(customer, orderId)).status === status);
  await waitFor('its mail is out', () => spansOf(traceId).some(({ name }) => name === 'send mail'));
  return { orderId, traceId };
}

/**
 * Places an order and compares its whole trace. A busy machine may repeat a step, which is no fault: then another order is placed.
 * @param charge what follows from it: it has two conditions and follows whichever came last, as a rule the hold, and so is told apart
 */
async function assertOutline(
  [paymentMethod, status]: readonly [string, string],
  order: readonly string[],
  charge: readonly string[],
): Promise<{ orderId: string; traceId: string }> {
  for (let tries = 1; ; tries += 1) {
    const placed = await placeTraced(paymentMethod, status);
    try {
      await compareOutline(placed.traceId, order, charge);
      return placed;
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

async function compareOutline(traceId: string, order: readonly string[], charge: readonly string[]): Promise<void> {
  const compare = () => {
    const spans = spansOf(traceId);
    const worker = spans.find(({ name }) => name === 'charge worker');
    assert.ok(worker);
    const above = spans.find(({ spanId }) => spanId === worker.parentSpanId);
    assert.equal(above?.name, 'process payment-service.events');
    const below = new Set([worker.spanId]);
    for (const _ of spans)
      for (const { spanId, parentSpanId } of spans) if (below.has(parentSpanId ?? '')) below.add(spanId);
    assert.deepEqual(outlineOf(spans.filter(({ spanId }) => below.has(spanId))), charge);
    assert.deepEqual(outlineOf(spans.filter(({ spanId }) => !below.has(spanId))), order);
    return true;
  };
  await waitFor('the whole trace', compare, 20_000);
}

const placedAndHeld = [
  'api-gateway server POST /api/v1/orders',
  '  api-gateway client POST',
  '    order-service server POST /v1/orders',
  '      order-service producer publish order.created',
  '        payment-service consumer process payment-service.events order.created',
  '        product-service consumer process product-service.events order.created',
  '          product-service producer publish inventory.reserved',
  '            order-service consumer process order-service.events inventory.reserved',
  '            payment-service consumer process payment-service.events inventory.reserved',
];

test('a confirmed order is one trace, through every service, the broker, the provider and the mail server', async () => {
  const { orderId, traceId } = await assertOutline(['pm_card_visa', 'confirmed'], placedAndHeld, [
    'payment-service internal charge worker',
    '  payment-service client POST /v1/payment_intents',
    '  payment-service client POST /v1/payment_intents/{id}/confirm',
    '  payment-service producer publish payment.captured',
    '    order-service consumer process order-service.events payment.captured',
    '      order-service producer publish order.confirmed',
    '        notification-service consumer process notification-service.events order.confirmed',
    '          notification-service internal mail worker',
    '            notification-service client send mail',
    '        product-service consumer process product-service.events order.confirmed',
  ]);
  const spans = spansOf(traceId);
  const [first] = spans.filter(({ name }) => name === 'POST /api/v1/orders');
  assert.ok(first?.parentSpanId, 'below the span of the caller');

  const consumed = spans.filter(({ kind }) => kind === 'consumer');
  for (const { service, attributes } of consumed) {
    assert.equal(attributes['messaging.system'], 'rabbitmq');
    assert.equal(attributes['messaging.destination.name'], `${service}.events`);
    assert.equal(attributes['messaging.operation.type'], 'process');
    assert.equal(attributes['glasshouse.order.id'], orderId);
    assert.ok(attributes['glasshouse.saga.step'], 'says which step of the saga it is');
  }
  const steps = new Set(consumed.map(({ attributes }) => attributes['glasshouse.saga.step']));
  assert.ok(steps.has('holdStock') && steps.has('confirmOrder'), [...steps].join(', '));
  assert.equal(consumed.find(({ attributes }) => attributes['order.status'] === 'confirmed')?.service, 'order-service');

  // Whatever handles something commits it, and a statement belongs to what it is a step of.
  const statements = spans.filter(isStatement);
  const ids = new Set(spans.filter((span) => !isStatement(span)).map(({ spanId }) => spanId));
  for (const { name, parentSpanId, kind } of statements) {
    assert.ok(ids.has(parentSpanId ?? ''), name);
    assert.equal(kind, 'client');
  }
  for (const { spanId, service } of consumed)
    assert.ok(
      statements.some(({ name, parentSpanId }) => parentSpanId === spanId && /^commit/i.test(name)),
      `${service} commits within its span`,
    );

  const timeline = await call('GET', `/api/v1/orders/${orderId}/timeline`, { token: customer.token });
  for (const entry of timeline.body.items) assert.equal(entry.traceId, traceId, entry.type);
});

test('a declined order is one trace, with what undoes it', async () => {
  const { traceId } = await assertOutline(['pm_card_chargeDeclined', 'cancelled'], placedAndHeld, [
    'payment-service internal charge worker',
    '  payment-service client POST /v1/payment_intents',
    '  payment-service client POST /v1/payment_intents/{id}/confirm',
    '  payment-service producer publish payment.failed',
    '    order-service consumer process order-service.events payment.failed',
    '      order-service producer publish order.cancelled',
    '        notification-service consumer process notification-service.events order.cancelled',
    '          notification-service internal mail worker',
    '            notification-service client send mail',
    '        payment-service consumer process payment-service.events order.cancelled',
    '        product-service consumer process product-service.events order.cancelled',
    '          product-service producer publish inventory.released',
    '            order-service consumer process order-service.events inventory.released',
  ]);
  const spans = spansOf(traceId);
  const [declined] = spans.filter(({ name }) => name.endsWith('/confirm'));
  assert.ok(declined?.isError);
  assert.equal(declined.attributes['http.response.status_code'], 402);
  const [decided] = spans.filter(({ attributes }) => attributes['order.status'] === 'cancelled');
  assert.equal(decided?.attributes['order.cancel_reason'], 'payment_declined');
});

test('what a crash left in the outbox is published in the traces of its causes, linked to the sweep that found it', async () => {
  const { body } = await call('GET', '/api/v1/orders?status=confirmed&limit=1', { token: customer.token });
  const [order] = body.items;
  const causes = [newTrace(), newTrace()];
  const client = new pg.Client(new URL('/orders', platform.admin.postgresUrl).href);
  await client.connect();
  try {
    for (const { traceparent } of causes) {
      const id = randomUUIDv7();
      // Told again, under an id of its own: nobody does anything twice for it.
      const event = {
        specversion: '1.0',
        id,
        source: 'order-service',
        type: 'order.confirmed',
        subject: order.id,
        time: new Date().toISOString(),
        datacontenttype: 'application/json',
        dataschema: 'https://glasshouse.example/schemas/order.confirmed',
        correlationid: id,
        data: {
          orderId: order.id,
          userId: order.userId,
          items: order.items.map(({ productId, quantity, unitPrice }: typeof order) => ({
            productId,
            quantity,
            unitPrice,
          })),
          total: order.total,
        },
      };
      await client.query(`insert into outbox values ($1, $2, $3, now() - interval '1 s')`, [id, event, traceparent]);
    }
  } finally {
    await client.end();
  }
  const publishers = await waitFor('both are published and handled', () => {
    const found = causes.flatMap(({ traceId }) => spansOf(traceId).find(({ kind }) => kind === 'producer') ?? []);
    const areHandled = causes.every(({ traceId }) => spansOf(traceId).some(({ kind }) => kind === 'consumer'));
    return areHandled && found.length === causes.length && found;
  });
  const sweeps = new Set(publishers.flatMap(({ links }) => links.map(({ spanId }) => spanId)));
  const linked = await waitFor('the sweep', () => {
    const found = receiver.spans.filter(({ name, spanId }) => name === 'sweep outbox' && sweeps.has(spanId));
    return found.length === sweeps.size && found.flatMap(({ links }) => links.map(({ traceId }) => traceId));
  });
  assert.deepEqual(linked.toSorted(), causes.map(({ traceId }) => traceId).toSorted());
});

test('of requests that nobody wants recorded, nothing is', async () => {
  const { traceId, traceparent } = newTrace();
  const reply = await call('GET', '/api/v1/orders', {
    token: customer.token,
    headers: { traceparent: traceparent.replace(/1$/, '0') },
  });
  assert.equal(reply.status, 200);
  await placeTraced('pm_card_visa', 'confirmed');
  assert.deepEqual(spansOf(traceId), []);
});

interface LogLine {
  service: string;
  message: string;
  traceId?: string;
  spanId?: string;
  requestId?: string;
  orderId?: string;
  userId?: string;
  path?: string;
  eventType?: string;
}

function readLogs(): string[] {
  const logs = join(dirname(platform.mailDir), 'logs');
  return readdirSync(logs).flatMap((file) => readFileSync(join(logs, file), 'utf8').split('\n'));
}

test('a log line says whose work it is: trace, span, request, order and user', async () => {
  const { orderId, traceId } = await placeTraced('pm_card_visa', 'confirmed');
  const me = await call('GET', '/api/v1/users/me', { token: customer.token });
  const lines = await waitFor('the lines', () => {
    const found = readLogs()
      .filter((line) => line.startsWith('{') && line.includes(traceId))
      .map((line) => JSON.parse(line) as LogLine);
    return found.filter(({ message }) => message === 'handled').length >= 6 && found;
  });
  const requests = lines.filter(({ message, path }) => message === 'request' && path?.endsWith('/v1/orders'));
  assert.deepEqual(requests.map(({ service }) => service).sort(), ['api-gateway', 'order-service']);
  for (const line of requests) {
    assert.match(line.spanId ?? '', /^[0-9a-f]{16}$/);
    assert.equal(line.requestId, traceId, 'made from the trace where the caller has sent none');
    assert.equal(line.orderId, orderId);
    assert.equal(line.userId, me.body.id);
  }
  const handled = lines.filter(({ message }) => message === 'handled');
  for (const line of handled) {
    const { eventType = '' } = line;
    assert.equal(line.requestId, traceId, eventType);
    assert.equal(line.orderId, orderId, eventType);
    if (!eventType.startsWith('inventory.')) assert.equal(line.userId, me.body.id, eventType);
  }
});

/** What Prometheus would get of every process. */
const scrapes = () => {
  const urls = Object.values(platform.urls)
    .flat()
    .map((url) => `http://127.0.0.1:${Number(new URL(url).port) + 6_000}/metrics`);
  return Promise.all(urls.map(async (url) => (await fetch(url)).text()));
};

test('no log line, span or metric has a secret, or says who somebody is', async () => {
  const { email, wrongPassword, card, password } = marked;
  const json = { 'content-type': 'application/json' };
  const login = await call('POST', '/api/v1/auth/login', { body: { email, password } });
  secrets.push(login.body.accessToken, login.body.refreshToken);
  // What goes wrong is what is told in detail.
  const refused: [number, Promise<{ status: number }>][] = [
    [401, call('POST', '/api/v1/auth/login', { body: { email, password: wrongPassword } })],
    [409, call('POST', '/api/v1/auth/register', { body: { email, password, name: marked.name } })],
    [401, call('GET', `/api/v1/orders?email=${email}`, { token: `${customer.token}x` })],
    [400, fetch(`${platform.gatewayUrl}/api/v1/auth/login`, { method: 'POST', headers: json, body: `{"${password}` })],
    [422, call('POST', '/api/v1/auth/register', { body: { email: `<${email}>`, password, name: marked.name, card } })],
    [401, call('POST', '/api/v1/auth/refresh', { body: { refreshToken: `${login.body.refreshToken}x` } })],
    [
      422,
      call('POST', '/api/v1/orders', {
        token: customer.token,
        headers: { 'idempotency-key': randomUUID() },
        body: { items: [{ productId, quantity: 1 }], shippingAddress: address, paymentMethod: card },
      }),
    ],
  ];
  for (const [status, reply] of refused) assert.equal((await reply).status, status);
  const { traceId } = await placeTraced('pm_card_visa', 'confirmed');
  await waitFor('metrics are sent', () =>
    receiver.bodies.some((body) => body.includes('glasshouse.order.time_to_final')),
  );
  const seen = { logs: readLogs(), sent: receiver.bodies, scraped: await scrapes() };
  assert.ok(seen.logs.some((line) => line.includes(traceId)) && seen.sent.some((body) => body.includes(traceId)));
  for (const [where, texts] of Object.entries(seen))
    for (const secret of secrets) {
      const found = texts.find((text) => text.includes(secret));
      const at = found?.indexOf(secret) ?? 0;
      assert.equal(found?.slice(Math.max(0, at - 200), at + 100), undefined, `${where} have ${secret}`);
    }
  assert.ok(!seen.sent.some((body) => body.includes('pm_card_visa')), 'no span says how somebody pays');
});

test('every metric of ours that a dashboard or an alert names is there', async (t) => {
  // The broker's own come from a plugin that Debian's package leaves out.
  const [ofBroker, ours] = [true, false].map((is) =>
    metricsNamed().filter((name) => name.startsWith('rabbitmq_') === is),
  );
  t.diagnostic(`not looked for: ${ofBroker?.join(', ')}`);
  const names = await waitFor('the metrics', async () => {
    const lines = (await scrapes()).join('\n').split('\n');
    const there = new Set(lines.flatMap((line) => /^[a-z_:][a-z0-9_:]*/i.exec(line)?.[0] ?? []));
    const missing = (ours ?? []).filter((name) => !there.has(name));
    assert.deepEqual(missing, []);
    return there;
  });
  assert.ok(names.size > 50);
});
