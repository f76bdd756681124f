// What the other services tell: it decides an order once, whatever the order of arrival and however often it comes, and all of it is in the timeline.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type CloudEvent,
  inventoryRejected,
  inventoryReleased,
  inventoryReserved,
  orderCancelled,
  orderConfirmed,
  orderCreated,
  paymentCaptured,
  paymentFailed,
  paymentRefunded,
  paymentRefundFailed,
} from '@glasshouse/shared/contracts';
import { testEvent, waitFor } from '@glasshouse/shared/testing';
import { aProduct, createWorld, orderOf, permutations, post, type Running, type World } from './support.ts';

let world: World;
let service: Running;
const kettle = aProduct(1999);
const items = [{ productId: kettle.id, quantity: 2 }];
const amount = { amount: 3998, currency: 'USD' };

before(async () => {
  world = await createWorld();
  // One at a time: what arrives first is handled first.
  service = await world.start({ CONSUMER_PREFETCH: '1' });
  await world.list(kettle);
});
after(() => world.stop());

interface Placed {
  orderId: string;
  userId: string;
  token: string;
  createdId: string;
  traceId: string;
}

let placed = 0;
async function placeOrder(): Promise<Placed> {
  const { userId, token } = world.customer();
  placed += 1;
  const traceId = placed.toString(16).padStart(32, '0');
  const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
  const { body } = await post(service, token, orderOf(kettle), undefined, headers);
  const created = await waitFor('order.created is out', () => world.broker.eventsOf(orderCreated, body.id)[0]);
  return { orderId: body.id, userId, token, createdId: created.id, traceId };
}

/** The facts that the others may tell of an order, each with its cause as they would name it. */
function factsOf({ orderId, userId, createdId }: Placed) {
  const paymentId = orderId;
  const reserved = testEvent(inventoryReserved, { orderId, items }, createdId);
  const captured = testEvent(paymentCaptured, { orderId, userId, paymentId, amount }, reserved.id);
  const failed = testEvent(paymentFailed, { orderId, userId, code: 'card_declined', message: 'No.' }, reserved.id);
  const shortages = [{ productId: kettle.id, requested: 2, available: 1 }];
  const rejected = testEvent(inventoryRejected, { orderId, shortages }, createdId);
  const released = testEvent(inventoryReleased, { orderId, items }, createdId);
  const refund = { orderId, userId, paymentId, refundId: orderId, amount, cause: 'cancel' as const };
  const refunded = testEvent(paymentRefunded, refund, captured.id);
  const refundFailed = testEvent(paymentRefundFailed, refund, captured.id);
  return { reserved, captured, failed, rejected, released, refunded, refundFailed };
}

const publishAll = async (events: readonly CloudEvent[]) => {
  for (const event of events) await world.broker.publish(event);
};
const getOrder = async ({ orderId, token }: Placed) =>
  (await service.call('GET', `/v1/orders/${orderId}`, { token })).body;
const getTimeline = async ({ orderId, token }: Placed): Promise<{ id: string; type: string; traceId: string }[]> =>
  (await service.call('GET', `/v1/orders/${orderId}/timeline`, { token })).body.items;

/** Waits until everything told so far is handled, the second copies as well: a message that came last has been, and the outbox is empty. */
async function allHandled(events: readonly CloudEvent[]) {
  const ids = [...new Set(events.map((event) => event.id))];
  await waitFor('all are handled', async () => {
    const { rows } = await world.postgres.pool.query('select 1 from inbox where event_id = any($1)', [ids]);
    return rows.length === ids.length;
  });
  await world.list(aProduct());
  await waitFor('the outbox is empty', async () => {
    const { rows } = await world.postgres.pool.query('select 1 from outbox');
    return rows.length === 0;
  });
}

async function assertDecided(order: Placed, status: string, cancelReason: string | undefined, facts: CloudEvent[]) {
  const now = await getOrder(order);
  assert.equal(now.status, status);
  assert.equal(now.cancelReason, cancelReason);
  const decisions = [
    ...world.broker.eventsOf(orderConfirmed, order.orderId),
    ...world.broker.eventsOf(orderCancelled, order.orderId),
  ];
  assert.equal(decisions.length, 1, 'decided once');
  const timeline = await getTimeline(order);
  const expected = [order.createdId, ...decisions.map(({ id }) => id), ...facts.map(({ id }) => id)];
  assert.deepEqual(
    timeline.map(({ id }) => id).sort(),
    [...new Set(expected)].sort(),
    'each event is in the timeline, once',
  );
  assert.equal(timeline[0]?.type, 'order.created');
  const byId = new Map(facts.map((fact) => [fact.id, fact]));
  for (const [index, { id, type }] of timeline.entries()) {
    const cause = byId.get(id)?.causationid ?? decisions.find((decision) => decision.id === id)?.causationid;
    const at = timeline.findIndex((entry) => entry.id === cause);
    assert.ok(at < index, `${type} stands before its cause`);
  }
}

test('payment.captured: confirms, tells what was sold and why, and the timeline has it all', async () => {
  const order = await placeOrder();
  const { reserved, captured } = factsOf(order);
  await publishAll([reserved, captured]);
  await allHandled([reserved, captured]);
  const [confirmed] = world.broker.eventsOf(orderConfirmed, order.orderId);
  assert.equal(confirmed?.causationid, captured.id);
  assert.equal(confirmed?.correlationid, captured.correlationid);
  assert.deepEqual(confirmed?.data, {
    orderId: order.orderId,
    userId: order.userId,
    items: [{ productId: kettle.id, quantity: 2, unitPrice: kettle.price }],
    total: amount,
  });
  await assertDecided(order, 'confirmed', undefined, [reserved, captured]);
  const timeline = await getTimeline(order);
  assert.deepEqual(
    timeline.map(({ type }) => type),
    ['order.created', 'inventory.reserved', 'payment.captured', 'order.confirmed'],
  );
  assert.equal(timeline[0]?.traceId, order.traceId);
  assert.deepEqual(Object.keys(timeline[0] ?? {}).sort(), ['id', 'source', 'summary', 'time', 'traceId', 'type']);
});

test('payment.captured: confirms also where the hold has not been heard of', async () => {
  const order = await placeOrder();
  const { captured } = factsOf(order);
  await publishAll([captured]);
  await allHandled([captured]);
  await assertDecided(order, 'confirmed', undefined, [captured]);
});

test('inventory.rejected, payment.failed: cancel what is pending, and say which it was', async () => {
  for (const [name, reason] of [
    ['rejected', 'out_of_stock'],
    ['failed', 'payment_declined'],
  ] as const) {
    const order = await placeOrder();
    const fact = factsOf(order)[name];
    await publishAll([fact]);
    await allHandled([fact]);
    await assertDecided(order, 'cancelled', reason, [fact]);
    const [cancelled] = world.broker.eventsOf(orderCancelled, order.orderId);
    assert.deepEqual(cancelled?.data, { orderId: order.orderId, userId: order.userId, cancelReason: reason });
    assert.equal(cancelled?.causationid, fact.id);
  }
});

test('a fact that decides nothing leaves a pending order pending', async () => {
  const order = await placeOrder();
  const { reserved } = factsOf(order);
  await publishAll([reserved]);
  await allHandled([reserved]);
  assert.equal((await getOrder(order)).status, 'pending');
  assert.equal((await getTimeline(order)).length, 2);
});

/** What the others can come to tell of one order, before a decision of ours and after it. */
const stories: { status: string; reason?: string; facts: (keyof ReturnType<typeof factsOf>)[] }[] = [
  { status: 'confirmed', facts: ['reserved', 'captured'] },
  { status: 'cancelled', reason: 'out_of_stock', facts: ['rejected'] },
  { status: 'cancelled', reason: 'payment_declined', facts: ['reserved', 'failed'] },
];
for (const { status, reason, facts } of stories)
  test(`${facts.join(', ')}: in every order of arrival, each twice, the order is ${status} once`, async () => {
    // Two of the same make arrivals that are equal; one of each will do.
    const arrivals = new Map(permutations([...facts, ...facts]).map((arrival) => [arrival.join(), arrival]));
    const told: { order: Placed; events: CloudEvent[] }[] = [];
    for (const arrival of arrivals.values()) {
      const order = await placeOrder();
      const all = factsOf(order);
      const events = arrival.map((name) => all[name]);
      await publishAll(events);
      told.push({ order, events });
    }
    await allHandled(told.flatMap(({ events }) => events));
    for (const { order, events } of told) await assertDecided(order, status, reason, events);
  });

test('facts after the decision: are in the timeline, and change and tell nothing, in every order of arrival', async () => {
  const cancelledOnes: { order: Placed; facts: CloudEvent[] }[] = [];
  const late = ['reserved', 'captured', 'released', 'refunded'] as const;
  for (const arrival of permutations(late)) {
    const order = await placeOrder();
    const all = factsOf(order);
    const facts = [all.rejected, ...arrival.map((name) => all[name])];
    await publishAll(facts);
    cancelledOnes.push({ order, facts });
  }
  await allHandled(cancelledOnes.flatMap(({ facts }) => facts));
  for (const { order, facts } of cancelledOnes) await assertDecided(order, 'cancelled', 'out_of_stock', facts);

  const order = await placeOrder();
  const all = factsOf(order);
  const facts = [all.captured, all.failed, all.rejected, all.refundFailed, all.refunded];
  await publishAll(facts);
  await allHandled(facts);
  await assertDecided(order, 'confirmed', undefined, facts);
});

test('an event that comes again after the inbox has forgotten it changes and tells nothing', async () => {
  const order = await placeOrder();
  const { reserved, captured } = factsOf(order);
  for (let round = 0; round < 2; round += 1) {
    await publishAll([reserved, captured]);
    await allHandled([reserved, captured]);
    await assertDecided(order, 'confirmed', undefined, [reserved, captured]);
    await world.postgres.pool.query('delete from inbox');
  }
});

test('two copies of the service, everything at once and twice: each order is decided once', async () => {
  const second = await world.start();
  const orders = await Promise.all(Array.from({ length: 15 }, placeOrder));
  const told = orders.flatMap((order) => {
    const { reserved, captured, failed } = factsOf(order);
    return [captured, reserved, failed, captured, failed, reserved];
  });
  await Promise.all(told.map((event) => world.broker.publish(event)));
  await allHandled(told);
  await second.stop();
  await allHandled([]);
  for (const order of orders) {
    const facts = told.filter((event) => event.subject === order.orderId);
    const { status } = await getOrder(order);
    await assertDecided(order, status, status === 'cancelled' ? 'payment_declined' : undefined, facts);
  }
});
