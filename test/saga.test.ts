// The order saga from end to end: through the gateway, the broker and every database, with two copies of every service that takes part in it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { createClient, waitFor } from '@glasshouse/shared/testing';
import { connect } from 'amqplib';
import { loadConfig } from '../infrastructure/auditor/src/config.ts';
import { audit } from '../infrastructure/auditor/src/index.ts';
import { readMailbox } from '../infrastructure/local/src/mailbox.ts';
import type { Platform } from '../infrastructure/local/src/platform.ts';
import { startTestPlatform } from './support/platform.ts';
import { type Customer, createShop, type Shop } from './support/shop.ts';

let platform: Platform;
let shop: Shop;
let admin: Customer;
let alice: Customer;
/** Every event as it went through the exchange. */
const recorded: { key: string; content: Buffer; headers: Record<string, unknown>; messageId: string }[] = [];

before(async () => {
  const replicas = { 'product-service': 2, 'order-service': 2, 'payment-service': 2, 'notification-service': 2 };
  platform = await startTestPlatform({ portOffset: 2_850, replicas, ownBroker: true });
  shop = createShop(platform.gatewayUrl);
  [admin, alice] = await Promise.all([shop.admin(), shop.alice()]);
  await record();
});
after(async () => {
  await platform?.stop();
});

async function record(): Promise<void> {
  const connection = await connect(platform.admin.rabbitmqUrl);
  connection.on('error', () => {});
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'ecommerce.events', '#');
  await channel.consume(
    queue,
    (message) => {
      if (message === null) return;
      const { properties, fields, content } = message;
      recorded.push({
        key: fields.routingKey,
        content,
        headers: properties.headers ?? {},
        messageId: properties.messageId,
      });
    },
    { noAck: true },
  );
}

/** Every equation holds, once all is quiet. */
async function assertAuditIsClean(): Promise<void> {
  const { equations } = await audit(loadConfig(platform.auditEnv));
  const broken = equations
    .filter((equation) => !equation.ok)
    .map(({ id, findings }) => `(${id}) ${JSON.stringify(findings.slice(0, 3))}`);
  assert.deepEqual(broken, []);
}

const typesOf = (timeline: readonly { type: string }[]) => timeline.map((entry) => entry.type);

test('an order that is paid: confirmed, sold, charged once, and the customer has mail', async () => {
  const productId = await shop.createProduct(admin, 10, 1_250);
  const placed = await shop.placeOrder(alice, { items: [{ productId, quantity: 3 }] });
  assert.equal(placed.status, 201);
  assert.equal(placed.body.status, 'pending');
  assert.deepEqual(placed.body.total, { amount: 3_750, currency: 'USD' });
  assert.equal(placed.headers.get('location'), `/api/v1/orders/${placed.body.id}`);

  const order = await shop.finalOrder(alice, placed.body.id);
  assert.equal(order.status, 'confirmed');
  assert.equal(await shop.stockOf(productId), 7);
  const payment = await shop.paymentOf(alice, order.id);
  assert.equal(payment.status, 'captured');
  assert.deepEqual(
    [payment.amount, payment.refunded],
    [
      { amount: 3_750, currency: 'USD' },
      { amount: 0, currency: 'USD' },
    ],
  );

  const timeline = await waitFor('the timeline is whole', async () => {
    const entries = await shop.timelineOf(alice, order.id);
    return entries.length === 4 && entries;
  });
  assert.deepEqual(typesOf(timeline), ['order.created', 'inventory.reserved', 'payment.captured', 'order.confirmed']);
  assert.equal(new Set(timeline.map((entry) => entry.traceId)).size, 1, 'one order is one trace');

  const [mail] = await waitFor('the mail is sent', async () => {
    const mails = await shop.mailsOf(alice, order.id);
    return mails.length > 0 && mails.every(({ status }) => status === 'sent') && mails;
  });
  assert.equal(mail?.occasion, 'order.confirmed');
  const received = await waitFor('the mail has arrived', async () => {
    const mails = (await readMailbox(platform.mailDir)).filter(({ messageId }) => messageId.includes(order.id));
    return mails.length > 0 && mails;
  });
  assert.deepEqual(
    received.map(({ to }) => to),
    [['alice@example.com']],
  );
});

test('a card that is declined: cancelled, and the stock is as it was', async () => {
  const productId = await shop.createProduct(admin, 5);
  const { body } = await shop.placeOrder(alice, {
    items: [{ productId, quantity: 5 }],
    paymentMethod: 'pm_card_chargeDeclined',
  });
  const order = await shop.finalOrder(alice, body.id);
  assert.deepEqual([order.status, order.cancelReason], ['cancelled', 'payment_declined']);
  await waitFor('the stock is back', async () => (await shop.stockOf(productId)) === 5);
  assert.equal((await shop.paymentOf(alice, order.id)).status, 'failed');
  await waitFor('the release is in the timeline', async () =>
    isDeepStrictEqual(typesOf(await shop.timelineOf(alice, order.id)), [
      'order.created',
      'inventory.reserved',
      'payment.failed',
      'order.cancelled',
      'inventory.released',
    ]),
  );
});

test('one of several items is short: cancelled, nothing stays held, nothing is charged', async () => {
  const [plenty, scarce] = await Promise.all([shop.createProduct(admin, 100), shop.createProduct(admin, 1)]);
  const { body } = await shop.placeOrder(alice, {
    items: [
      { productId: plenty, quantity: 10 },
      { productId: scarce, quantity: 2 },
    ],
  });
  const order = await shop.finalOrder(alice, body.id);
  assert.deepEqual([order.status, order.cancelReason], ['cancelled', 'out_of_stock']);
  assert.deepEqual(await Promise.all([plenty, scarce].map(shop.stockOf)), [100, 1]);
  const payment = await waitFor('the payment is void', async () => {
    const found = await shop.paymentOf(alice, order.id);
    return found?.status === 'void' && found;
  });
  assert.equal(payment.refunded.amount, 0);
});

test('many want the last units: exactly the stock is sold, everyone else is told', async () => {
  const productId = await shop.createProduct(admin, 7);
  const buyers = await Promise.all(Array.from({ length: 6 }, () => shop.register()));
  const orders = await Promise.all(
    buyers.map(async (buyer) => {
      const placed = await Promise.all(
        Array.from({ length: 5 }, () => shop.placeOrder(buyer, { items: [{ productId, quantity: 1 }] })),
      );
      assert.deepEqual(new Set(placed.map(({ status }) => status)), new Set([201]));
      const ids = placed.map(({ body }) => body.id);
      return shop.finalOrders(buyer, ids, 60_000);
    }),
  );
  const outcomes = Object.groupBy(orders.flat(), (order) => order.cancelReason ?? order.status);
  assert.equal(outcomes.confirmed?.length, 7);
  assert.equal(outcomes.out_of_stock?.length, 23);
  assert.equal(await shop.stockOf(productId), 0);
});

test('Idempotency-Key: the same order twice, one after the other and at once, is one order', async () => {
  const productId = await shop.createProduct(admin, 50);
  const items = [{ productId, quantity: 1 }];
  const key = randomUUID();
  const first = await shop.placeOrder(alice, { items, key });
  const second = await shop.placeOrder(alice, { items, key });
  assert.deepEqual([first.status, second.status], [201, 201]);
  assert.equal(second.body.id, first.body.id);
  assert.equal(second.headers.get('location'), first.headers.get('location'));

  const other = randomUUID();
  const atOnce = await Promise.all(Array.from({ length: 8 }, () => shop.placeOrder(alice, { items, key: other })));
  assert.deepEqual(new Set(atOnce.map(({ status }) => status)), new Set([201]));
  assert.equal(new Set(atOnce.map(({ body }) => body.id)).size, 1);

  const changed = await shop.placeOrder(alice, { items: [{ productId, quantity: 2 }], key });
  assert.deepEqual([changed.status, changed.body.code], [422, 'idempotency-key.reused']);
  const somebody = await shop.register();
  const theirs = await shop.placeOrder(somebody, { items, key });
  assert.equal(theirs.status, 201);
  assert.notEqual(theirs.body.id, first.body.id);
  for (const [who, id] of [
    [alice, first.body.id],
    [alice, atOnce[0]?.body.id],
    [somebody, theirs.body.id],
  ] as const)
    await shop.finalOrder(who, id);
  assert.equal(await shop.stockOf(productId), 47);
});

test("somebody else's order is not there", async () => {
  const productId = await shop.createProduct(admin, 5);
  const { body } = await shop.placeOrder(alice, { items: [{ productId, quantity: 1 }] });
  const stranger = await shop.register();
  for (const path of [`/api/v1/orders/${body.id}`, `/api/v1/orders/${body.id}/timeline`])
    assert.equal((await shop.call('GET', path, { token: stranger.token })).status, 404);
  assert.deepEqual(
    (await shop.call('GET', `/api/v1/payments?orderId=${body.id}`, { token: stranger.token })).body.items,
    [],
  );
  assert.deepEqual(
    (await shop.call('GET', `/api/v1/notifications?orderId=${body.id}`, { token: stranger.token })).body.items,
    [],
  );
  await shop.finalOrder(alice, body.id);
});

test('access: every service itself wants a token, not only the gateway', async () => {
  for (const path of [
    'order-service/v1/orders',
    'payment-service/v1/payments',
    'notification-service/v1/notifications',
    'user-service/v1/users/me',
  ]) {
    const [name = '', ...rest] = path.split('/');
    const direct = createClient(platform.urls[name]?.[0] ?? '', { 'x-user-id': randomUUID(), 'x-user-roles': 'admin' });
    assert.equal((await direct('GET', `/${rest.join('/')}`)).status, 401, name);
  }
});

test('user-service is gone: tokens are still checked, orders still placed', async () => {
  const productId = await shop.createProduct(admin, 5);
  const userService = platform.processes.get('user-service');
  await userService?.kill();
  const { status, body } = await shop.placeOrder(alice, { items: [{ productId, quantity: 1 }] });
  assert.equal(status, 201);
  assert.equal((await shop.finalOrder(alice, body.id)).status, 'confirmed');
  const login = await shop.call('POST', '/api/v1/auth/login', {
    body: { email: 'alice@example.com', password: 'alice-password' },
  });
  assert.equal(login.status, 503);
  assert.ok(login.headers.get('retry-after'));
  await userService?.start();
  await waitFor(
    'logins work again',
    async () =>
      (
        await shop.call('POST', '/api/v1/auth/login', {
          body: { email: 'alice@example.com', password: 'alice-password' },
        })
      ).status === 200,
  );
});

test('the broker is stopped and started while orders flow: the shop stays open, and every accepted order ends', async () => {
  const productId = await shop.createProduct(admin, 1_000);
  const accepted: string[] = [];
  /** Four customers order, and look at the catalogue, until `count` more orders are accepted. */
  const orderMore = async (count: number) => {
    const enough = accepted.length + count;
    const customer = async () => {
      while (accepted.length < enough) {
        const { status, body } = await shop.placeOrder(alice, { items: [{ productId, quantity: 1 }] });
        assert.equal(status, 201);
        accepted.push(body.id);
        assert.equal((await shop.call('GET', '/api/v1/products?limit=5')).status, 200);
      }
    };
    await Promise.all([customer(), customer(), customer(), customer()]);
  };
  await Promise.all([orderMore(40), platform.broker.kill()]);
  await orderMore(20);
  const ready = await fetch(`${platform.urls['order-service']?.[0]}/ready`);
  assert.equal(ready.status, 200, 'the broker is reported, not judged');
  assert.equal(((await ready.json()) as { broker: string }).broker, 'down');
  await Promise.all([orderMore(40), platform.broker.start()]);
  await orderMore(20);
  const ended = await shop.finalOrders(alice, accepted, 90_000);
  assert.deepEqual(new Set(ended.map((order) => order.status)), new Set(['confirmed']));
  assert.equal(await shop.stockOf(productId), 1_000 - accepted.length);
  await assertAuditIsClean();
});

test('every event once more: nothing changes, and the auditor finds nothing', async () => {
  const types = new Set(recorded.map((message) => message.key));
  for (const type of [
    'user.registered',
    'product.created',
    'order.created',
    'inventory.reserved',
    'inventory.rejected',
    'payment.captured',
    'payment.failed',
    'order.confirmed',
    'order.cancelled',
    'inventory.released',
  ])
    assert.ok(types.has(type), `${type} was told`);
  const mailsBefore = (await readMailbox(platform.mailDir)).length;
  const connection = await connect(platform.admin.rabbitmqUrl);
  const channel = await connection.createConfirmChannel();
  for (const { key, content, headers, messageId } of recorded.toReversed())
    channel.publish('ecommerce.events', key, content, { persistent: true, messageId, headers });
  await channel.waitForConfirms();
  await connection.close();
  await assertAuditIsClean();
  assert.equal((await readMailbox(platform.mailDir)).length, mailsBefore);
});
