// What is parked, mended and sent back, on a platform that runs: the queue goes on, the business fact comes late but right, and what comes too late changes nothing.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseEnv } from 'node:util';
import { paymentCaptured, type ServiceName } from '@glasshouse/shared/contracts';
import { queueOf, RETRY_DELAYS_S, retryQueueOf } from '@glasshouse/shared/event-bus';
import { testEvent, waitFor } from '@glasshouse/shared/testing';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import pg from 'pg';
import { loadConfig } from '../infrastructure/auditor/src/config.ts';
import { audit } from '../infrastructure/auditor/src/index.ts';
import type { DeadLetter } from '../infrastructure/dead-letters/src/dead-letter.ts';
import { runDeadLetters } from '../infrastructure/dead-letters/test/process.ts';
import { readMailbox } from '../infrastructure/local/src/mailbox.ts';
import type { Platform } from '../infrastructure/local/src/platform.ts';
import { startTestPlatform } from './support/platform.ts';
import { type Customer, createShop, type Shop } from './support/shop.ts';

const PRICE = 1_000;

let platform: Platform;
let shop: Shop;
let admin: Customer;
let alice: Customer;
let connection: ChannelModel;
let channel: ConfirmChannel;

before(async () => {
  platform = await startTestPlatform({
    portOffset: 2_400,
    ownBroker: true,
    // Long enough for an order on a busy machine, short enough to wait for.
    env: { SAGA_TIMEOUT_S: '40', DEADLINE_SETTLE_MS: '1000' },
  });
  shop = createShop(platform.gatewayUrl);
  [admin, alice] = await Promise.all([shop.admin(), shop.alice()]);
  connection = await connect(platform.admin.rabbitmqUrl);
  channel = await connection.createConfirmChannel();
});
after(async () => {
  await connection?.close();
  await platform?.stop();
});

const deadLetters = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await runDeadLetters(platform.operatorEnv, ...args);
  assert.equal(code, 0, stderr);
  return stdout;
};

const parked = async (): Promise<Omit<DeadLetter, 'content'>[]> => JSON.parse(await deadLetters('list', '--json'));

/** The letters of the lines that do not hold, once nothing is under way. */
async function brokenLines(): Promise<string> {
  const { quiet, equations } = await audit(loadConfig(platform.auditEnv));
  assert.equal(quiet?.reached, true);
  return equations
    .filter(({ ok }) => !ok)
    .map(({ id }) => id)
    .join('');
}

/** As the database's superuser. */
async function alter(database: string, statement: string): Promise<void> {
  const url = new URL(platform.admin.postgresUrl ?? '');
  url.pathname = database;
  const client = new pg.Client(url.href);
  await client.connect();
  await client.query(`alter table ${statement}`).finally(() => client.end());
}

async function put(service: ServiceName, content: Buffer, options: { messageId?: string; headers?: object } = {}) {
  channel.sendToQueue(queueOf(service), content, { persistent: true, ...options });
  await channel.waitForConfirms();
}

/** Spares the test the 111 s of all retries: what waits for its next attempt has its last one now. */
async function lastAttemptNow(service: ServiceName): Promise<void> {
  await waitFor('a message waits for its next attempt', async () => {
    for (const seconds of RETRY_DELAYS_S.slice(1)) {
      const message = await channel.get(retryQueueOf(service, seconds));
      if (message === false) continue;
      const { messageId, headers } = message.properties;
      await put(service, message.content, {
        messageId,
        headers: { traceparent: headers?.traceparent, 'x-attempts': RETRY_DELAYS_S.length },
      });
      channel.ack(message);
      return true;
    }
    return false;
  });
}

/** Waits until one message is parked. */
async function theParkedOne(): Promise<Omit<DeadLetter, 'content'>> {
  const [letter] = await waitFor('a message is parked', async () => {
    const letters = await parked();
    return letters.length === 1 && letters;
  });
  assert.ok(letter);
  return letter;
}

test('the runner tells the tool its broker, in a file that nobody else may read', () => {
  const file = join(dirname(platform.mailDir), 'operator.env');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual({ ...parseEnv(readFileSync(file, 'utf8')) }, platform.operatorEnv);
});

test('poison and an unknown type are parked with the reason, while orders are confirmed as ever', async () => {
  const productId = await shop.createProduct(admin, 10, PRICE);
  const captured = testEvent(paymentCaptured, {
    orderId: randomUUIDv7(),
    userId: randomUUIDv7(),
    paymentId: randomUUIDv7(),
    amount: { amount: PRICE, currency: 'USD' },
  });
  const unknown = { ...captured, type: 'payment.blessed' };
  const contents = ['not JSON', '{"half":', JSON.stringify(unknown)];
  const placed = await Promise.all(
    Array.from({ length: 5 }, async (_, index) => {
      const { body } = await shop.placeOrder(alice, { items: [{ productId, quantity: 1 }] });
      const content = contents[index];
      if (content !== undefined) await put('order-service', Buffer.from(content));
      return shop.finalOrder(alice, body.id);
    }),
  );
  assert.deepEqual(new Set(placed.map(({ status }) => status)), new Set(['confirmed']));

  const letters = await waitFor('all three are parked', async () => {
    const found = await parked();
    return found.length === contents.length && found;
  });
  assert.deepEqual(
    new Set(letters.map(({ service, attempts }) => `${service} ${attempts}`)),
    new Set(['order-service 1']),
  );
  assert.deepEqual(letters.map(({ reason }) => reason).sort(), [
    'Unreadable: not JSON',
    'Unreadable: not JSON',
    'Unreadable: unknown type payment.blessed',
  ]);
  assert.equal(letters.find(({ type }) => type === 'payment.blessed')?.id, unknown.id);
  assert.equal(await brokenLines(), 'j');

  // Nothing has been mended: they come back, and the tool does not run after them.
  await deadLetters('redrive', '--all');
  await waitFor('all three are parked again', async () => (await parked()).length === contents.length);

  const dropped = await deadLetters('drop', '--all', '--service', 'order-service');
  const kept = dropped
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).content);
  assert.deepEqual(
    new Set(kept.map((content) => (typeof content === 'string' ? content : JSON.stringify(content)))),
    new Set(contents),
  );
  assert.equal(await brokenLines(), '');
});

test('a refund that the database refused: parked, and made once the database is mended and the message redriven', async () => {
  const productId = await shop.createProduct(admin, 5, PRICE);
  const { body } = await shop.placeOrder(alice, { items: [{ productId, quantity: 2 }] });
  assert.equal((await shop.finalOrder(alice, body.id)).status, 'confirmed');

  await alter('payments', 'refunds add constraint refunds_are_small check (amount < 1000) not valid');
  const { status } = await shop.call('POST', `/api/v1/orders/${body.id}/cancel`, { token: alice.token });
  assert.equal(status, 202);
  await lastAttemptNow('payment-service');
  const letter = await theParkedOne();
  assert.deepEqual(
    [letter.service, letter.type, letter.subject, letter.attempts],
    ['payment-service', 'order.cancelled', body.id, 6],
  );
  assert.match(letter.reason ?? '', /violates check constraint "refunds_are_small"/);
  const timeline = await shop.timelineOf(alice, body.id);
  const cancelled = timeline.find(({ type }) => type === 'order.cancelled');
  assert.deepEqual([letter.id, letter.traceId], [cancelled?.id, cancelled?.traceId]);
  assert.equal((await shop.paymentOf(alice, body.id)).refunded.amount, 0);
  assert.equal(await brokenLines(), 'dj', 'the money is not back, and a message is parked');

  await alter('payments', 'refunds drop constraint refunds_are_small');
  await deadLetters('redrive', letter.id);
  await waitFor('the money is back', async () => (await shop.paymentOf(alice, body.id)).refunded.amount === 2 * PRICE);
  assert.equal(await shop.stockOf(productId), 5);
  assert.equal(await brokenLines(), '');
  assert.deepEqual(await parked(), []);
});

test('a payment that is heard of long after its order was cancelled: into the timeline, and nothing else changes', async () => {
  const productId = await shop.createProduct(admin, 5, PRICE);
  await alter('orders', `orders add constraint nothing_is_confirmed check (status <> 'confirmed') not valid`);
  const { body } = await shop.placeOrder(alice, { items: [{ productId, quantity: 2 }] });
  await lastAttemptNow('order-service');
  const letter = await theParkedOne();
  assert.deepEqual([letter.service, letter.type, letter.subject], ['order-service', 'payment.captured', body.id]);
  await alter('orders', 'orders drop constraint nothing_is_confirmed');

  const order = await shop.finalOrder(alice, body.id, 90_000);
  assert.deepEqual([order.status, order.cancelReason], ['cancelled', 'timeout']);
  await waitFor('the money is back', async () => (await shop.paymentOf(alice, body.id)).refunded.amount === 2 * PRICE);
  assert.equal(await brokenLines(), 'j', 'all is well but for what is parked');
  const books = async () => ({
    order: await shop.orderOf(alice, body.id),
    payment: await shop.paymentOf(alice, body.id),
    stock: await shop.stockOf(productId),
    mails: await shop.mailsOf(alice, body.id),
    mailbox: (await readMailbox(platform.mailDir)).length,
  });
  const before = await books();
  const timeline = await shop.timelineOf(alice, body.id);
  assert.equal(before.stock, 5);
  assert.deepEqual(before.mails.map(({ occasion }) => occasion).sort(), ['order.cancelled', 'payment.refunded']);
  assert.ok(!timeline.some(({ type }) => type === 'payment.captured'));

  await deadLetters('redrive', letter.id);
  await waitFor('it is in the timeline', async () =>
    (await shop.timelineOf(alice, body.id)).some(({ id }) => id === letter.id),
  );
  assert.equal(await brokenLines(), '');
  assert.deepEqual(await books(), before);
  assert.equal((await shop.timelineOf(alice, body.id)).length, timeline.length + 1);
});
