// The deadline: a pending order past it is cancelled, but never before what waits in the queue has been heard.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  inventoryReserved,
  orderCancelled,
  orderConfirmed,
  orderCreated,
  paymentCaptured,
} from '@glasshouse/shared/contracts';
import { createDatabase } from '@glasshouse/shared/postgres';
import { quietLogger, waitFor } from '@glasshouse/shared/testing';
import { createDeadlineSweep } from '../src/workers/cancel-overdue-orders.ts';
import { aProduct, createWorld, orderOf, post, type Running, type World } from './support.ts';

let world: World;
const kettle = aProduct(1999);
const impatient = { SAGA_TIMEOUT_S: '2', CONSUMER_PREFETCH: '1' };
const patient = { SAGA_TIMEOUT_S: '3600', CONSUMER_PREFETCH: '1' };

before(async () => {
  world = await createWorld();
  world.products.sell(kettle);
});
after(() => world.stop());

async function placeOrder(service: Running) {
  const { userId, token } = world.customer();
  const { status, body } = await post(service, token, orderOf(kettle));
  assert.equal(status, 201);
  return { orderId: body.id as string, userId, token };
}
type Placed = Awaited<ReturnType<typeof placeOrder>>;

const capture = ({ orderId, userId }: Placed) =>
  world.tell(paymentCaptured, { orderId, userId, paymentId: orderId, amount: { amount: 3998, currency: 'USD' } });
const statusOf = async ({ orderId }: Placed): Promise<string> =>
  (await world.postgres.pool.query('select status from orders where id = $1', [orderId])).rows[0].status;
/** Until the database's clock stands `ms` milliseconds behind the order's deadline. */
const pastDeadline = ({ orderId }: Placed, ms: number) =>
  waitFor('the deadline has passed', async () => {
    const { rows } = await world.postgres.pool.query(
      "select pay_by + $2 * interval '1 ms' < clock_timestamp() as passed from orders where id = $1",
      [orderId, ms],
    );
    return rows[0].passed as boolean;
  });
const setPayBy = ({ orderId }: Placed, ago: string) =>
  world.postgres.pool.query('update orders set pay_by = clock_timestamp() - $2::interval where id = $1', [
    orderId,
    ago,
  ]);

test('deadline: a pending order past it is cancelled with `timeout`, in the trace that began it; others stay as they are', async () => {
  const first = await world.start(patient);
  const paid = await placeOrder(first);
  await capture(paid);
  await waitFor('it is confirmed', async () => (await statusOf(paid)) === 'confirmed');
  await first.stop();
  await setPayBy(paid, '1 minute');
  const service = await world.start(impatient);
  const overdue = await placeOrder(service);
  const event = await waitFor('it is cancelled', () => world.broker.eventsOf(orderCancelled, overdue.orderId)[0]);
  assert.deepEqual(event.data, { orderId: overdue.orderId, userId: overdue.userId, cancelReason: 'timeout' });
  assert.equal(event.causationid, undefined);
  const { body } = await service.call('GET', `/v1/orders/${overdue.orderId}/timeline`, { token: overdue.token });
  const [created] = world.broker.eventsOf(orderCreated, overdue.orderId);
  assert.ok(event.time > (created?.data.payBy ?? ''), 'not before its deadline');
  assert.equal(event.correlationid, created?.correlationid);
  assert.deepEqual(
    body.items.map(({ type }: { type: string }) => type),
    ['order.created', 'order.cancelled'],
  );
  assert.equal(body.items[1].traceId, body.items[0].traceId);

  await capture(overdue);
  await waitFor('the late capture is in the timeline', async () => {
    const reply = await service.call('GET', `/v1/orders/${overdue.orderId}/timeline`, { token: overdue.token });
    return reply.body.items.length === 3;
  });
  assert.deepEqual([await statusOf(paid), await statusOf(overdue)], ['confirmed', 'cancelled']);
  assert.equal(world.broker.eventsOf(orderCancelled).length, 1);
  await service.stop();
});

test('deadline: what was paid while the service was down is confirmed, however late that is heard', async () => {
  const first = await world.start(patient);
  const [paid, unpaid] = [await placeOrder(first), await placeOrder(first)];
  await first.stop();
  for (const order of [paid, unpaid]) await setPayBy(order, '2 days');
  // Many messages, so that one is still being handled whenever a sweep looks.
  for (let count = 0; count < 30; count += 1)
    await world.tell(inventoryReserved, { orderId: unpaid.orderId, items: [{ productId: kettle.id, quantity: 2 }] });
  await capture(paid);
  const second = await world.start({ ...impatient, DEADLINE_SWEEP_INTERVAL_MS: '1' });
  await waitFor('the other one is cancelled', async () => (await statusOf(unpaid)) === 'cancelled');
  assert.equal(await statusOf(paid), 'confirmed');
  await waitFor('it is told', () => world.broker.eventsOf(orderConfirmed, paid.orderId).length === 1);
  await second.stop();
});

test('deadline: nobody is cancelled while messages wait behind one that takes its time', async (t) => {
  const service = await world.start(patient);
  const [slow, paid] = [await placeOrder(service), await placeOrder(service)];
  const blocker = await world.postgres.pool.connect();
  t.after(() => blocker.release(true));
  await blocker.query('begin');
  await blocker.query("update orders set pay_by = clock_timestamp() - interval '1 minute' where id = $1", [
    slow.orderId,
  ]);
  await world.tell(inventoryReserved, { orderId: slow.orderId, items: [{ productId: kettle.id, quantity: 2 }] });
  await capture(paid);
  await setPayBy(paid, '0 seconds');
  await pastDeadline(paid, 1_000);
  assert.equal(await statusOf(paid), 'pending', 'its capture waits in the queue');
  await blocker.query('commit');
  await waitFor('the slow one is cancelled', async () => (await statusOf(slow)) === 'cancelled');
  assert.equal(await statusOf(paid), 'confirmed');
  await service.stop();
});

test('deadline: more overdue orders than fit into one batch are all cancelled, once, by two copies', async () => {
  const service = await world.start({ SAGA_TIMEOUT_S: '3600' });
  const orders: Placed[] = [];
  for (let round = 0; round < 10; round += 1)
    orders.push(...(await Promise.all(Array.from({ length: 11 }, () => placeOrder(service)))));
  const second = await world.start();
  await world.postgres.pool.query("update orders set pay_by = clock_timestamp() where status = 'pending'");
  const ids = new Set(orders.map(({ orderId }) => orderId));
  const cancelled = () => world.broker.eventsOf(orderCancelled).filter(({ data }) => ids.has(data.orderId));
  await waitFor('all are cancelled', () => cancelled().length >= orders.length);
  await Promise.all([service.stop(), second.stop()]);
  assert.equal(new Set(cancelled().map(({ data }) => data.orderId)).size, orders.length);
  assert.equal(cancelled().length, orders.length);
});

test('deadline: a queue that never runs empty is waited for ten minutes, from the start and from the deadline', async () => {
  const service = await world.start({ SAGA_TIMEOUT_S: '3600' });
  const [justOver, longOver] = [await placeOrder(service), await placeOrder(service)];
  await service.stop();
  await setPayBy(justOver, '9 minutes');
  await setPayBy(longOver, '11 minutes');
  const database = createDatabase({ url: world.postgres.url, service: 'order-service', logger: quietLogger });
  const sweepAfter = async (minutes: number | undefined) => {
    const consumingSince = () => (minutes === undefined ? undefined : performance.now() - minutes * 60_000);
    const consumer = { hasCaughtUp: async () => false, consumingSince };
    await createDeadlineSweep({ database, consumer, logger: quietLogger, intervalMs: 1, settleMs: 0 }).sweep();
    return [await statusOf(justOver), await statusOf(longOver)];
  };
  assert.deepEqual(await sweepAfter(undefined), ['pending', 'pending']);
  assert.deepEqual(await sweepAfter(9), ['pending', 'pending']);
  assert.deepEqual(await sweepAfter(11), ['pending', 'cancelled']);
  await database.stop();
});

test('deadline: one look is not enough, for another copy may hold a message; a queue that fills again begins the wait anew', async () => {
  const service = await world.start({ SAGA_TIMEOUT_S: '3600' });
  const [first, later] = [await placeOrder(service), await placeOrder(service)];
  await service.stop();
  await setPayBy(first, '1 minute');
  const database = createDatabase({ url: world.postgres.url, service: 'order-service', logger: quietLogger });
  let isCaughtUp = true;
  const consumer = { hasCaughtUp: async () => isCaughtUp, consumingSince: () => performance.now() };
  const deadline = createDeadlineSweep({ database, consumer, logger: quietLogger, intervalMs: 1, settleMs: 2_000 });
  const sweepFor = async (ms: number) => {
    const endsAt = performance.now() + ms;
    while (performance.now() < endsAt) await deadline.sweep();
  };
  await sweepFor(1_000);
  isCaughtUp = false;
  await deadline.sweep();
  isCaughtUp = true;
  await sweepFor(1_300);
  assert.equal(await statusOf(first), 'pending', 'the looks before the queue filled again do not count');
  // Overdue only since the first look of the row: not cancelled with it.
  await setPayBy(later, '0 seconds');
  await waitFor(
    'the first is cancelled',
    async () => {
      await deadline.sweep();
      return (await statusOf(first)) === 'cancelled';
    },
    60_000,
    20,
  );
  assert.equal(await statusOf(later), 'pending');
  await waitFor('the later one is cancelled in its turn', async () => {
    await deadline.sweep();
    return (await statusOf(later)) === 'cancelled';
  });
  await database.stop();
});
