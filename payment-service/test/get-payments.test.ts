// Reading payments over HTTP, and how the service starts, fails and stops.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { paymentCaptured } from '@glasshouse/shared/contracts';
import { createTcpProxy, type TcpProxy, waitFor } from '@glasshouse/shared/testing';
import { loadConfig } from '../src/config.ts';
import { createWorld, gate, isConfirm, type World } from './support.ts';

let world: World;
let toDatabase: TcpProxy;
let service: Awaited<ReturnType<World['start']>>;
before(async () => {
  world = await createWorld();
  toDatabase = await createTcpProxy(world.postgres.url);
  service = await world.start({ DATABASE_URL: toDatabase.url });
});
after(async () => {
  await world.stop();
  await toDatabase.stop();
});

const admin = () => world.keys.token(randomUUIDv7(), ['admin']);
async function paid() {
  const order = world.anOrder();
  await world.tell(order.created, order.reserved);
  const { id } = await world.settled(order, 'captured');
  return { ...order, id };
}
const list = async (token: string, query = ''): Promise<string[]> =>
  (await service.call('GET', `/v1/payments${query}`, { token })).body.items.map(
    (payment: { id: string }) => payment.id,
  );

test('payments: their user and an admin see them; for anyone else they do not exist', async () => {
  const order = await paid();
  const path = `/v1/payments/${order.id}`;
  const { status, body } = await service.call('GET', path, { token: order.token });
  assert.equal(status, 200);
  const { createdAt, updatedAt, ...rest } = body;
  const amount = { amount: 3998, currency: 'USD' };
  assert.deepEqual(rest, {
    id: order.id,
    orderId: order.orderId,
    status: 'captured',
    amount,
    refunded: { ...amount, amount: 0 },
  });
  assert.ok(createdAt <= updatedAt);
  assert.deepEqual((await service.call('GET', path, { token: admin() })).body, body);
  const foreign = await service.call('GET', path, { token: world.anOrder().token });
  assert.deepEqual([foreign.status, foreign.body.code], [404, 'payment.not-found']);
  assert.equal((await service.call('GET', path)).status, 401);
  assert.equal((await service.call('GET', '/v1/payments/7', { token: admin() })).status, 404);
  assert.equal((await service.call('DELETE', path, { token: admin() })).headers.get('allow'), 'GET, HEAD');
});

test('payments: what was given back, and why a charge failed, is told', async () => {
  const order = await paid();
  await world.tell(order.cancelled);
  await world.assertTold(order, 'payment.captured', 'payment.refunded');
  const { body } = await service.call('GET', `/v1/payments/${order.id}`, { token: order.token });
  assert.deepEqual([body.status, body.refunded], ['captured', body.amount]);
  const declined = world.anOrder({ paymentMethod: 'pm_card_chargeDeclined' });
  await world.tell(declined.created, declined.reserved);
  await world.settled(declined, 'failed');
  const reply = await service.call('GET', `/v1/payments?orderId=${declined.orderId}`, { token: declined.token });
  assert.deepEqual([reply.body.items[0].status, reply.body.items[0].failureCode], ['failed', 'generic_decline']);
});

test('getInvoice: names what was bought and what went back, for its user and an admin', async () => {
  const order = await paid();
  const path = `/v1/payments/${order.id}/invoice`;
  const usd = (amount: number) => ({ amount, currency: 'USD' });
  const { status, body } = await service.call('GET', path, { token: order.token });
  assert.equal(status, 200);
  const { issuedAt, number, ...rest } = body;
  const { items } = order.created.data;
  assert.deepEqual(rest, {
    paymentId: order.id,
    orderId: order.orderId,
    userId: order.userId,
    lines: items.map((item) => ({ ...item, lineTotal: usd(3998) })),
    total: usd(3998),
    refunds: [],
    balance: usd(3998),
  });
  assert.equal(items[0]?.name, 'Kettle');
  assert.match(number, /^INV-\d{8}-[0-9A-F]{12}$/);

  const giveBack = (amount: number, reason: string) =>
    service.call('POST', `/v1/payments/${order.id}/refunds`, {
      token: admin(),
      body: { amount, reason },
      headers: { 'idempotency-key': randomUUIDv7() },
    });
  const refund = (await giveBack(500, 'A scratch.')).body;
  await world.assertTold(order, 'payment.captured', 'payment.refunded');
  // A cancellation gives back the rest, and the invoice stays what it was.
  await world.tell(order.cancelled);
  await world.assertTold(order, 'payment.captured', 'payment.refunded', 'payment.refunded');
  const later = (await service.call('GET', path, { token: admin() })).body;
  assert.deepEqual([later.number, later.issuedAt, later.total], [number, issuedAt, usd(3998)]);
  assert.deepEqual(
    later.refunds.map(({ amount, reason }: { amount: object; reason: string }) => ({ amount, reason })),
    [
      { amount: usd(500), reason: 'A scratch.' },
      { amount: usd(3498), reason: 'The order was cancelled.' },
    ],
  );
  assert.equal(later.refunds[0].id, refund.id);
  assert.ok(later.refunds[0].refundedAt >= refund.createdAt && later.refunds[1].refundedAt >= issuedAt);
  assert.deepEqual(later.balance, usd(0));
});

test('getInvoice: of what was not captured is a 409, of somebody else’s payment a 404', async () => {
  const open = world.anOrder();
  await world.tell(open.created);
  const declined = world.anOrder({ paymentMethod: 'pm_card_chargeDeclined' });
  await world.tell(declined.created, declined.reserved);
  for (const [order, status] of [
    [open, 'due'],
    [declined, 'failed'],
  ] as const) {
    const { id } = await world.settled(order, status);
    const reply = await waitFor('its user sees it', async () => {
      const answer = await service.call('GET', `/v1/payments/${id}/invoice`, { token: order.token });
      return answer.status !== 404 && answer;
    });
    assert.deepEqual([reply.status, reply.body.code], [409, 'payment.not-captured']);
    const foreign = await service.call('GET', `/v1/payments/${id}/invoice`, { token: world.anOrder().token });
    assert.deepEqual([foreign.status, foreign.body.code], [404, 'payment.not-found']);
  }
  assert.equal((await service.call('GET', `/v1/payments/${randomUUIDv7()}/invoice`, { token: admin() })).status, 404);
});

test('getInvoice: where the order’s items were never told with names, or never kept, has what is known', async () => {
  const order = await paid();
  const linesNow = async () =>
    (await service.call('GET', `/v1/payments/${order.id}/invoice`, { token: order.token })).body.lines;
  await world.postgres.pool.query("update payments set items = items #- '{0,name}' where id = $1", [order.id]);
  assert.equal('name' in (await linesNow())[0], false);
  await world.postgres.pool.query('update payments set items = null where id = $1', [order.id]);
  assert.deepEqual(await linesNow(), []);
});

test('getInvoice: of a payment that an older copy captured, keeps its number and time when the order is cancelled', async () => {
  const order = await paid();
  // As it leaves the row.
  await world.postgres.pool.query('update payments set captured_at = null where id = $1', [order.id]);
  const read = async (path: string) =>
    (await service.call('GET', `/v1/payments/${order.id}${path}`, { token: order.token })).body;
  const first = await read('/invoice');
  assert.equal(first.issuedAt, (await read('')).createdAt);
  await world.tell(order.cancelled);
  await world.assertTold(order, 'payment.captured', 'payment.refunded');
  const { number, issuedAt } = await read('/invoice');
  assert.deepEqual([number, issuedAt], [first.number, first.issuedAt]);
});

test('migration 003: a payment that was captured before gets a time that never moves, others none', async () => {
  const [order, open] = [await paid(), world.anOrder()];
  await world.tell(open.created, order.cancelled);
  await world.assertTold(order, 'payment.captured', 'payment.refunded');
  await world.settled(open, 'due');
  const migration = await readFile(new URL('../migrations/003-add-invoices.sql', import.meta.url), 'utf8');
  const client = await world.postgres.pool.connect();
  try {
    await client.query('begin');
    await client.query('alter table payments drop column items, drop column captured_at');
    await client.query('alter table refunds drop column settled_at');
    await client.query(migration);
    const { rows } = await client.query(
      'select status, captured_at = created_at as same from payments where order_id = any($1) order by status',
      [[order.orderId, open.orderId]],
    );
    assert.deepEqual(rows, [
      { status: 'captured', same: true },
      { status: 'due', same: null },
    ]);
  } finally {
    await client.query('rollback');
    client.release();
  }
});

test('payments: of one order, of one user, page by page; an admin sees those of all', async () => {
  const [one, other] = [await paid(), await paid()];
  assert.deepEqual(await list(one.token), [one.id]);
  assert.deepEqual(await list(one.token, `?orderId=${one.orderId.toUpperCase()}`), [one.id]);
  assert.deepEqual(await list(one.token, `?orderId=${other.orderId}`), []);
  assert.deepEqual(await list(admin(), `?orderId=${other.orderId}`), [other.id]);
  const seen: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const { body } = await service.call('GET', `/v1/payments?limit=2${query}`, { token: admin() });
    seen.push(...body.items.map((payment: { id: string }) => payment.id));
    cursor = body.nextCursor;
  }
  assert.deepEqual(seen, await list(admin(), '?limit=100'));
  assert.deepEqual(seen, [...seen].sort().reverse(), 'newest first');
  assert.equal(new Set(seen).size, seen.length);
  for (const query of ['limit=0', 'limit=101', 'orderId=7', 'cursor=nonsense', 'status=captured'])
    assert.equal((await service.call('GET', `/v1/payments?${query}`, { token: admin() })).status, 400, query);
});

test('payments: one whose order is not known yet is nobody’s', async () => {
  const order = world.anOrder();
  await world.tell(order.reserved);
  const { id } = await world.settled(order, 'due');
  for (const token of [order.token, admin()]) {
    assert.equal((await service.call('GET', `/v1/payments/${id}`, { token })).status, 404);
    assert.deepEqual(await list(token, `?orderId=${order.orderId}`), []);
  }
});

test('database gone: alive but not ready; what is told meanwhile is charged once it is back', async () => {
  toDatabase.cut();
  await waitFor('it is not ready', async () => (await service.call('GET', '/ready')).status === 503);
  assert.equal((await service.call('GET', '/health')).status, 200);
  const order = world.anOrder();
  await world.tell(order.created, order.reserved);
  toDatabase.restore();
  await world.settled(order, 'captured');
  assert.equal((await service.call('GET', '/ready')).status, 200);
});

test('stop: a charge under way is finished and told', async () => {
  await service.stop();
  const stopping = await world.start();
  await waitFor('it can publish', async () => (await stopping.call('GET', '/ready')).body.broker === 'up');
  const order = world.anOrder();
  const answer = gate();
  world.provider.behave = (call) => (isConfirm(call) ? { after: answer.wait } : 'pass');
  await world.tell(order.created, order.reserved);
  await waitFor('the charge is made', async () => (await world.ledger(order))[0]?.status === 'succeeded');
  const stopped = stopping.stop();
  await waitFor('it takes no more requests', () =>
    stopping.call('GET', '/health').then(
      () => false,
      () => true,
    ),
  );
  answer.open();
  await stopped;
  assert.equal((await world.payment(order))?.status, 'captured');
  const { rows } = await world.postgres.pool.query("select event from outbox where event ->> 'subject' = $1", [
    order.orderId,
  ]);
  assert.deepEqual(rows, [], 'nothing is left for the next start');
  await waitFor('it is told', () => world.broker.eventsOf(paymentCaptured, order.orderId).length === 1);
});

test('settings: every wrong or missing one is named at once, and no value is told', () => {
  const wrong = {
    DATABASE_URL: '',
    RABBITMQ_URL: 'http://guest:hunter2@localhost',
    STRIPE_API_KEY: '',
    STRIPE_API_URL: 'stripe',
    STRIPE_TIMEOUT_MS: '6000',
    CHARGE_CONCURRENCY: '0',
  };
  assert.throws(
    () => loadConfig(wrong),
    (error: Error) => {
      assert.equal(error.name, 'ConfigError');
      for (const name of Object.keys(wrong)) assert.ok(error.message.includes(`  ${name}: `), `${name} is not named`);
      assert.doesNotMatch(error.message, /hunter2|6000/);
      return true;
    },
  );
});
