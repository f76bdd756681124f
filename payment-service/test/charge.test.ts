// Charges: begun only when order and stock are known, made once whatever the provider, the network or another copy of the service does.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { paymentCaptured, paymentFailed } from '@glasshouse/shared/contracts';
import { waitFor } from '@glasshouse/shared/testing';
import { createWorld, gate, isConfirm, isCreate, permutations, type TestOrder, type World } from './support.ts';

let world: World;
let service: Awaited<ReturnType<World['start']>>;
before(async () => {
  world = await createWorld();
  service = await world.start();
});
afterEach(() => {
  world.provider.behave = () => 'pass';
});
after(() => world.stop());

/** Captured, told once, and the provider has charged exactly once. */
async function assertChargedOnce(order: TestOrder) {
  await world.settled(order, 'captured');
  await world.assertTold(order, 'payment.captured');
  const succeeded = (await world.ledger(order)).filter(({ status }) => status === 'succeeded');
  assert.deepEqual(
    succeeded.map(({ amount, refunds }) => ({ amount, refunds })),
    [{ amount: order.amount, refunds: [] }],
  );
  assert.equal(succeeded[0]?.paymentIntentId, (await world.payment(order))?.intent_id);
}
const callsOf = ({ orderId }: TestOrder) => world.provider.calls.filter(({ body }) => body.includes(orderId));

test('charge: with order and stock known, is captured and told, within the trace and by the cause of the last of the two', async () => {
  const order = world.anOrder();
  await world.tell(order.created, order.reserved);
  await assertChargedOnce(order);
  const [event] = world.broker.eventsOf(paymentCaptured, order.orderId);
  const payment = await world.payment(order);
  assert.deepEqual(event?.data, {
    orderId: order.orderId,
    userId: order.userId,
    paymentId: payment?.id,
    amount: { amount: 3998, currency: 'USD' },
  });
  assert.ok([order.reserved.id, order.created.id].includes(event?.causationid ?? ''));
  assert.equal(event?.correlationid, order.created.correlationid);
  const [entry] = await world.ledger(order);
  assert.deepEqual(entry?.metadata, { orderId: order.orderId, paymentId: payment?.id });
});

test('charge: a card that is declined fails the payment with the bank’s reason, and no money moves', async () => {
  for (const [paymentMethod, code] of [
    ['pm_card_chargeDeclined', 'generic_decline'],
    ['pm_card_chargeDeclinedInsufficientFunds', 'insufficient_funds'],
  ] as const) {
    const order = world.anOrder({ paymentMethod });
    await world.tell(order.created, order.reserved);
    const payment = await world.settled(order, 'failed');
    assert.equal(payment.failure_code, code);
    await world.assertTold(order, 'payment.failed');
    const [event] = world.broker.eventsOf(paymentFailed, order.orderId);
    assert.equal(event?.data.code, code);
    assert.notEqual(event?.data.message, '');
    assert.deepEqual(
      (await world.ledger(order)).map(({ status }) => status),
      ['requires_payment_method'],
    );
  }
});

test('charge: nothing is begun while the order or the stock is unknown, however often the other is told', async () => {
  const [onlyCreated, onlyReserved] = [world.anOrder(), world.anOrder()];
  await world.tell(onlyCreated.created, onlyCreated.created, onlyReserved.reserved, onlyReserved.reserved);
  await world.another();
  for (const order of [onlyCreated, onlyReserved]) {
    assert.equal((await world.payment(order))?.status, 'due');
    assert.deepEqual(callsOf(order), []);
    assert.deepEqual(world.told(order), []);
  }
  await world.tell(onlyCreated.reserved, onlyReserved.created);
  await assertChargedOnce(onlyCreated);
  await assertChargedOnce(onlyReserved);
});

test('charge: in every order of arrival, each event twice, once', async () => {
  const arrivals = new Map(
    permutations(['created', 'reserved', 'created', 'reserved'] as const).map((arrival) => [arrival.join(), arrival]),
  );
  const orders = await Promise.all(
    [...arrivals.values()].map(async (arrival) => {
      const order = world.anOrder();
      await world.tell(...arrival.map((name) => order[name]));
      return order;
    }),
  );
  for (const order of orders) await assertChargedOnce(order);
});

test('charge: after the deadline none is begun', async () => {
  const order = world.anOrder({ payInS: -1 });
  await world.tell(order.created, order.reserved);
  await world.another();
  assert.equal((await world.payment(order))?.status, 'due');
  assert.deepEqual(callsOf(order), []);
  await world.tell(order.cancelled);
  await world.settled(order, 'void');
});

test('charge: one whose deadline passes while the intent is made is not confirmed', async () => {
  const order = world.anOrder({ payInS: 60 });
  const answer = gate();
  world.provider.behave = (call) => ({
    ...(isCreate(call) && call.body.includes(order.orderId) && { after: answer.wait }),
  });
  await world.tell(order.created, order.reserved);
  await waitFor('the intent is made', async () => (await world.ledger(order)).length === 1);
  await world.postgres.pool.query('update payments set pay_by = clock_timestamp() where order_id = $1', [
    order.orderId,
  ]);
  answer.open();
  await world.another();
  assert.deepEqual(
    (await world.ledger(order)).map(({ status }) => status),
    ['requires_confirmation'],
  );
  await world.tell(order.cancelled);
  await world.settled(order, 'void');
});

test('provider: a 500 on the intent is tried again under the next key', async () => {
  const order = world.anOrder();
  let failed = false;
  world.provider.behave = (call) => {
    if (failed || !isCreate(call)) return 'pass';
    failed = true;
    return 500;
  };
  await world.tell(order.created, order.reserved);
  await assertChargedOnce(order);
  const { id } = (await world.payment(order)) ?? {};
  const keys = callsOf(order).map(({ key }) => key);
  assert.deepEqual(keys, [`payment-${id}-1`, `payment-${id}-2`]);
});

test('provider: no answer to the intent is tried again under the same key, and one intent is made', async () => {
  const order = world.anOrder();
  let dropped = 0;
  world.provider.behave = (call) => {
    if (!isCreate(call) || dropped >= 2) return 'pass';
    dropped += 1;
    return 'drop-answer';
  };
  await world.tell(order.created, order.reserved);
  await assertChargedOnce(order);
  assert.equal(new Set(callsOf(order).map(({ key }) => key)).size, 1);
  assert.equal((await world.ledger(order)).length, 1);
});

test('provider: no answer to the confirmation: the charge is found, not made again', async () => {
  const order = world.anOrder();
  world.provider.behave = (call) => (isConfirm(call) ? 'drop-answer' : 'pass');
  await world.tell(order.created, order.reserved);
  await assertChargedOnce(order);
});

test('provider: a confirmation that never arrived is made when the provider is back', async () => {
  const order = world.anOrder();
  let refused = 0;
  world.provider.behave = (call) => {
    if (!isConfirm(call) || refused >= 2) return 'pass';
    refused += 1;
    return 'refuse';
  };
  await world.tell(order.created, order.reserved);
  await assertChargedOnce(order);
  assert.equal(refused, 2);
});

test('provider: a refusal that is no decline leaves the payment open and tells nothing; once it is put right, it is charged', async () => {
  const order = world.anOrder();
  world.provider.behave = (call) => (call.body.includes(order.orderId) ? 400 : 'pass');
  await world.tell(order.created, order.reserved);
  await waitFor('it was tried twice', () => callsOf(order).length >= 2);
  assert.equal((await world.payment(order))?.status, 'due');
  assert.deepEqual(world.told(order), []);
  world.provider.behave = () => 'pass';
  await assertChargedOnce(order);
});

test('provider: gone, nothing is declined, and few of those that wait are touched; back, everything is charged', async () => {
  // With a breaker that has not seen how well it went before.
  await service.stop();
  service = await world.start();
  world.provider.behave = () => 'refuse';
  const orders = Array.from({ length: 40 }, () => world.anOrder());
  const earlierCalls = world.provider.calls.length;
  for (const order of orders) await world.tell(order.created, order.reserved);
  await waitFor('it is asked now and then whether it is back', () => world.provider.calls.length - earlierCalls > 10);
  const payments = await waitFor('all are known', async () => {
    const known = await Promise.all(orders.map(world.payment));
    return known.every(Boolean) && known;
  });
  assert.deepEqual(new Set(payments.map((payment) => payment?.status)), new Set(['due']));
  const touched = payments.filter((payment) => payment?.lease_token !== null);
  assert.ok(touched.length < 30, `${touched.length} were claimed`);
  world.provider.behave = () => 'pass';
  for (const order of orders) await assertChargedOnce(order);
});

test('lease: who has lost it while the provider took its time records nothing; who has it now finds the charge', async () => {
  const order = world.anOrder();
  const answer = gate();
  world.provider.behave = (call) => (isConfirm(call) ? { after: answer.wait } : 'pass');
  await world.tell(order.created, order.reserved);
  await waitFor('the charge is made', async () => (await world.ledger(order))[0]?.status === 'succeeded');
  const lease = (until: string) =>
    world.postgres.pool.query(
      'update payments set lease_token = gen_random_uuid(), lease_until = $2::timestamptz where order_id = $1',
      [order.orderId, until],
    );
  await lease('infinity');
  answer.open();
  await world.another();
  assert.equal((await world.payment(order))?.status, 'charging');
  assert.deepEqual(world.told(order), []);
  await lease('-infinity');
  await assertChargedOnce(order);
});

test('lease: two that confirm the same intent at once charge once and tell once', async () => {
  const order = world.anOrder();
  const both = gate();
  world.provider.behave = (call) => (isConfirm(call) ? { wait: both.wait } : 'pass');
  await world.tell(order.created, order.reserved);
  const confirms = (count: number) =>
    waitFor(`${count} confirmations are on their way`, async () => {
      const { intent_id } = (await world.payment(order)) ?? {};
      return (
        world.provider.calls.filter(({ name }) => name === `POST /v1/payment_intents/${intent_id}/confirm`).length ===
        count
      );
    });
  await confirms(1);
  await world.postgres.pool.query("update payments set lease_until = '-infinity' where order_id = $1", [order.orderId]);
  await confirms(2);
  both.open();
  await assertChargedOnce(order);
});

test('lease: one that ended before the intent came back: the intent is not confirmed', async () => {
  const order = world.anOrder();
  const answer = gate();
  world.provider.behave = (call) => (isCreate(call) ? { after: answer.wait } : 'pass');
  await world.tell(order.created, order.reserved);
  await waitFor('the intent is made', async () => (await world.ledger(order)).length === 1);
  await world.postgres.pool.query(
    "update payments set lease_until = clock_timestamp() - interval '1 s', next_attempt_at = 'infinity' where order_id = $1",
    [order.orderId],
  );
  const confirmsBefore = world.provider.calls.filter(isConfirm).length;
  answer.open();
  await waitFor('the worker has given up', async () => {
    const { rows } = await world.postgres.pool.query(
      "select 1 from payments where order_id = $1 and lease_until = '-infinity'",
      [order.orderId],
    );
    return rows.length === 1;
  });
  assert.equal(world.provider.calls.filter(isConfirm).length, confirmsBefore);
  await assertChargedOnce(order);
  assert.equal((await world.ledger(order)).length, 1, 'the same key gives the same intent');
});

test('two copies of the service, fifty payments: each is charged once', async () => {
  const second = await world.start();
  const orders = Array.from({ length: 50 }, () => world.anOrder());
  await Promise.all(orders.map((order) => world.tell(order.created, order.reserved, order.reserved, order.created)));
  for (const order of orders) await assertChargedOnce(order);
  await second.stop();
});
