// An order is cancelled: before, between, while and after it is charged. In the end the customer has paid nothing, and both books say so.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type CloudEvent, paymentCaptured, paymentRefunded, paymentRefundFailed } from '@glasshouse/shared/contracts';
import { waitFor } from '@glasshouse/shared/testing';
import {
  createWorld,
  gate,
  isConfirm,
  isCreate,
  isRefund,
  permutations,
  type TestOrder,
  type World,
} from './support.ts';

let world: World;
before(async () => {
  world = await createWorld();
  await world.start();
});
afterEach(() => {
  world.provider.behave = () => 'pass';
});
after(() => world.stop());

const intentsOf = async (order: TestOrder) => (await world.ledger(order)).map(({ status }) => status);

/** Captured, given back in one refund, each told once. */
async function assertRefundedOnce(order: TestOrder) {
  await world.settled(order, 'captured');
  await world.assertTold(order, 'payment.captured', 'payment.refunded');
  const { rows } = await world.postgres.pool.query(
    'select refunds.id, refunds.amount, refunds.status, cause from payments join refunds on payment_id = payments.id where order_id = $1',
    [order.orderId],
  );
  assert.deepEqual(
    rows.map(({ id: _id, ...rest }) => rest),
    [{ amount: order.amount, status: 'succeeded', cause: 'cancel' }],
  );
  const succeeded = (await world.ledger(order)).filter(({ status }) => status === 'succeeded');
  assert.deepEqual(
    succeeded.map(({ amount, refunds }) => ({
      amount,
      refunds: refunds.map((refund) => [refund.amount, refund.metadata.refundId]),
    })),
    [{ amount: order.amount, refunds: [[order.amount, rows[0].id]] }],
  );
  const [refunded] = world.broker.eventsOf(paymentRefunded, order.orderId);
  assert.deepEqual(refunded?.data, {
    orderId: order.orderId,
    userId: order.userId,
    paymentId: (await world.payment(order))?.id,
    refundId: rows[0].id,
    amount: { amount: order.amount, currency: 'USD' },
    cause: 'cancel',
  });
  return refunded;
}

/** Never charged, nothing told. */
async function assertVoid(order: TestOrder) {
  await world.settled(order, 'void');
  assert.deepEqual(world.told(order), []);
  assert.ok(!(await intentsOf(order)).includes('succeeded'));
}

async function captured() {
  const order = world.anOrder();
  await world.tell(order.created, order.reserved);
  await world.settled(order, 'captured');
  return order;
}

test('cancel: before anything else is known, or before the second of the two is: never charged', async () => {
  const stories = [[], ['created'], ['reserved']] as const;
  const orders = stories.map((known) => ({ order: world.anOrder(), known }));
  for (const { order, known } of orders) {
    await world.tell(...known.map((name) => order[name]), order.cancelled);
    await world.settled(order, 'void');
  }
  for (const { order } of orders) await world.tell(order.created, order.reserved);
  await world.another();
  for (const { order } of orders) {
    await assertVoid(order);
    assert.deepEqual(await intentsOf(order), []);
    const { rows } = await world.postgres.pool.query('select amount from payments where order_id = $1', [
      order.orderId,
    ]);
    assert.equal(rows[0].amount, order.amount, 'what it would have been is noted all the same');
  }
});

test('cancel: while the intent is made: it is left unconfirmed', async () => {
  const order = world.anOrder();
  const answer = gate();
  world.provider.behave = (call) => (isCreate(call) ? { after: answer.wait } : 'pass');
  await world.tell(order.created, order.reserved);
  await waitFor('the intent is made', async () => (await world.ledger(order)).length === 1);
  await world.tell(order.cancelled);
  await world.settled(order, 'void');
  answer.open();
  await world.another();
  await assertVoid(order);
  assert.deepEqual(await intentsOf(order), ['requires_confirmation']);
});

test('cancel: while the answer to the confirmation is on its way: captured, and given back because of the capture', async () => {
  const order = world.anOrder();
  const answer = gate();
  world.provider.behave = (call) => (isConfirm(call) ? { after: answer.wait } : 'pass');
  await world.tell(order.created, order.reserved);
  await waitFor('the charge is made', async () => (await intentsOf(order))[0] === 'succeeded');
  await world.tell(order.cancelled);
  await waitFor('the cancellation is noted', async () => (await world.payment(order))?.cancel_requested);
  assert.equal((await world.payment(order))?.status, 'charging');
  answer.open();
  const refunded = await assertRefundedOnce(order);
  assert.equal(refunded?.causationid, world.broker.eventsOf(paymentCaptured, order.orderId)[0]?.id);
});

test('cancel: while a declined confirmation is on its way: failed, nothing to give back', async () => {
  const order = world.anOrder({ paymentMethod: 'pm_card_chargeDeclined' });
  const answer = gate();
  world.provider.behave = (call) => (isConfirm(call) ? { after: answer.wait } : 'pass');
  await world.tell(order.created, order.reserved);
  await waitFor('the charge is declined', async () => (await intentsOf(order))[0] === 'requires_payment_method');
  await world.tell(order.cancelled);
  await waitFor('the cancellation is noted', async () => (await world.payment(order))?.cancel_requested);
  answer.open();
  await world.settled(order, 'failed');
  await world.assertTold(order, 'payment.failed');
});

test('cancel: the charge was made but its answer lost: it is found and given back', async () => {
  const order = world.anOrder();
  world.provider.behave = ({ name }) =>
    name.endsWith('/confirm') ? 'drop-answer' : name.startsWith('GET') ? 503 : 'pass';
  await world.tell(order.created, order.reserved);
  await waitFor('the charge is made', async () => (await intentsOf(order))[0] === 'succeeded');
  await world.tell(order.cancelled);
  await waitFor('the cancellation is noted', async () => (await world.payment(order))?.cancel_requested);
  assert.equal((await world.payment(order))?.status, 'charging', 'no answer is no decision');
  world.provider.behave = () => 'pass';
  await assertRefundedOnce(order);
});

test('cancel: the charge never reached the provider: the intent is cancelled, nothing is told', async () => {
  const order = world.anOrder();
  world.provider.behave = (call) => (isConfirm(call) ? 'refuse' : 'pass');
  await world.tell(order.created, order.reserved);
  await waitFor('it is being charged', async () => (await world.payment(order))?.status === 'charging');
  await world.tell(order.cancelled);
  await assertVoid(order);
  assert.deepEqual(await intentsOf(order), ['canceled']);
});

test('cancel: a confirmation that is late finds the intent cancelled, and no money moves', async () => {
  const order = world.anOrder();
  const late = gate();
  world.provider.behave = (call) => (isConfirm(call) ? { wait: late.wait } : 'pass');
  await world.tell(order.created, order.reserved);
  await waitFor('the confirmation is on its way', async () => {
    const { intent_id } = (await world.payment(order)) ?? {};
    return world.provider.calls.some((call) => isConfirm(call) && call.name.includes(String(intent_id)));
  });
  await world.tell(order.cancelled);
  await waitFor('the cancellation is noted', async () => (await world.payment(order))?.cancel_requested);
  await world.postgres.pool.query("update payments set lease_until = '-infinity' where order_id = $1", [order.orderId]);
  await world.settled(order, 'void');
  late.open();
  await world.another();
  await assertVoid(order);
  assert.deepEqual(await intentsOf(order), ['canceled']);
});

test('cancel: after the capture: given back because of the cancellation', async () => {
  const order = await captured();
  await world.tell(order.cancelled);
  const refunded = await assertRefundedOnce(order);
  assert.equal(refunded?.causationid, order.cancelled.id);
});

test('cancel: after a decline: nothing to give back', async () => {
  const order = world.anOrder({ paymentMethod: 'pm_card_chargeDeclined' });
  await world.tell(order.created, order.reserved);
  await world.settled(order, 'failed');
  await world.tell(order.cancelled);
  await waitFor('the cancellation is noted', async () => (await world.payment(order))?.cancel_requested);
  await world.another();
  await world.assertTold(order, 'payment.failed');
  assert.equal((await world.payment(order))?.status, 'failed');
});

test('cancel: again, after the inbox has forgotten it: given back once', async () => {
  const order = await captured();
  await world.tell(order.cancelled);
  await assertRefundedOnce(order);
  await world.postgres.pool.query('delete from inbox');
  await world.tell(order.created, order.reserved, order.cancelled);
  await world.another();
  await assertRefundedOnce(order);
});

test('cancel: created, reserved and cancelled in every order of arrival and doubled in every way: nobody has paid, and both books agree', async () => {
  const arrivals = permutations(['created', 'reserved', 'cancelled'] as const).flatMap((arrival) => [
    [...arrival, ...arrival],
    [...arrival, ...arrival.toReversed()],
    arrival.flatMap((name) => [name, name]),
  ]);
  const orders = arrivals.flatMap((arrival) =>
    (['pm_card_visa', 'pm_card_chargeDeclined'] as const).map((paymentMethod) => {
      const order = world.anOrder({ paymentMethod });
      return { order, events: arrival.map((name): CloudEvent => order[name]) };
    }),
  );
  await Promise.all(orders.map(({ events }) => world.tell(...events)));
  for (const { order } of orders) {
    const { status } = await waitFor('it is decided', async () => {
      const payment = await world.payment(order);
      return payment?.cancel_requested && ['captured', 'failed', 'void'].includes(payment.status) && payment;
    });
    if (status === 'captured') await assertRefundedOnce(order);
    else if (status === 'void') await assertVoid(order);
    else await world.assertTold(order, 'payment.failed');
  }
});

test('refund: looks for itself first; an answer that was lost is found, and one refund is made', async () => {
  const order = await captured();
  const { intent_id } = (await world.payment(order)) ?? {};
  const from = world.provider.calls.length;
  world.provider.behave = (call) => (isRefund(call) ? 'drop-answer' : 'pass');
  await world.tell(order.cancelled);
  await assertRefundedOnce(order);
  const calls = world.provider.calls.slice(from);
  const first = calls.findIndex(({ name }) => name === 'GET /v1/refunds');
  const made = calls.findIndex(isRefund);
  assert.ok(first >= 0 && first < made, 'it looked before it was made');
  assert.ok(calls.filter(isRefund).every(({ body }) => body.includes(String(intent_id))));
});

test('refund: after a 500 it is tried again under the next key', async () => {
  const order = await captured();
  const from = world.provider.calls.length;
  let failed = false;
  world.provider.behave = (call) => {
    if (failed || !isRefund(call)) return 'pass';
    failed = true;
    return 500;
  };
  await world.tell(order.cancelled);
  const refunded = await assertRefundedOnce(order);
  const keys = world.provider.calls
    .slice(from)
    .filter(isRefund)
    .map(({ key }) => key);
  assert.deepEqual(keys, [`refund-${refunded?.data.refundId}-1`, `refund-${refunded?.data.refundId}-2`]);
});

test('refund: the provider is gone, then back: it is made once', async () => {
  const order = await captured();
  world.provider.behave = () => 'refuse';
  const from = world.provider.calls.length;
  await world.tell(order.cancelled);
  await waitFor('it was tried in vain', () => world.provider.calls.length >= from + 2);
  world.provider.behave = () => 'pass';
  await assertRefundedOnce(order);
});

test('refund: one that the provider refuses for good has failed, and says so', async () => {
  const order = await captured();
  world.provider.behave = (call) => (isRefund(call) ? 'disputed' : 'pass');
  await world.tell(order.cancelled);
  await world.assertTold(order, 'payment.captured', 'payment.refund-failed');
  const [event] = world.broker.eventsOf(paymentRefundFailed, order.orderId);
  assert.deepEqual(event?.data.amount, { amount: order.amount, currency: 'USD' });
  assert.equal((await world.payment(order))?.status, 'captured');
  const { rows } = await world.postgres.pool.query('select status from refunds where id = $1', [event?.data.refundId]);
  assert.deepEqual(rows, [{ status: 'failed' }]);
});

test('refund: one that has failed is not made again when the cancellation comes again, after the inbox has forgotten it', async () => {
  const order = await captured();
  world.provider.behave = (call) => (isRefund(call) ? 'disputed' : 'pass');
  await world.tell(order.cancelled);
  await world.assertTold(order, 'payment.captured', 'payment.refund-failed');
  world.provider.behave = () => 'pass';
  await world.postgres.pool.query('delete from inbox where event_id = $1', [order.cancelled.id]);
  await world.tell(order.cancelled);
  await waitFor('the inbox has it again', async () => {
    const { rows } = await world.postgres.pool.query('select 1 from inbox where event_id = $1', [order.cancelled.id]);
    return rows.length === 1;
  });
  const { rows } = await world.postgres.pool.query(
    'select refunds.status from payments join refunds on payment_id = payments.id where order_id = $1',
    [order.orderId],
  );
  assert.deepEqual(rows, [{ status: 'failed' }]);
});

for (const status of [400, 403, 404])
  test(`refund: one that is refused with ${status} for another reason stays open until that is put right`, async () => {
    const order = await captured();
    world.provider.behave = (call) => (isRefund(call) ? status : 'pass');
    const from = world.provider.calls.length;
    await world.tell(order.cancelled);
    await waitFor('it was tried', () => world.provider.calls.slice(from).some(isRefund));
    world.provider.behave = () => 'pass';
    await assertRefundedOnce(order);
  });

test('refund: a look-up that fails with 500 changes no key: the first try may still be under way', async () => {
  const order = await captured();
  const from = world.provider.calls.length;
  const since = () => world.provider.calls.slice(from);
  const lookUps = () => since().filter((call) => call.name === 'GET /v1/refunds');
  world.provider.behave = (call) => {
    if (isRefund(call)) return 'refuse';
    return call.name === 'GET /v1/refunds' && since().some(isRefund) && lookUps().length < 4 ? 500 : 'pass';
  };
  await world.tell(order.cancelled);
  await waitFor(
    'it was looked up in vain, and tried again',
    () => lookUps().length >= 4 && since().filter(isRefund).length >= 2,
  );
  assert.equal(
    new Set(
      since()
        .filter(isRefund)
        .map((call) => call.key),
    ).size,
    1,
  );
  world.provider.behave = () => 'pass';
  await assertRefundedOnce(order);
});

test('refund: who has lost the lease records nothing; who has it now finds the refund', async () => {
  const order = await captured();
  const answer = gate();
  world.provider.behave = (call) => (isRefund(call) ? { after: answer.wait } : 'pass');
  await world.tell(order.cancelled);
  await waitFor('the refund is made', async () => (await world.ledger(order))[0]?.refunds.length === 1);
  const lease = (until: string) =>
    world.postgres.pool.query(
      'update refunds set lease_token = gen_random_uuid(), lease_until = $2::timestamptz where payment_id = (select id from payments where order_id = $1)',
      [order.orderId, until],
    );
  await lease('infinity');
  answer.open();
  await captured();
  await world.assertTold(order, 'payment.captured');
  await lease('-infinity');
  await assertRefundedOnce(order);
});

test('two copies of the service, twenty cancellations: each is given back once', async () => {
  const second = await world.start();
  const orders = await Promise.all(Array.from({ length: 20 }, captured));
  await Promise.all(orders.map((order) => world.tell(order.cancelled, order.cancelled)));
  for (const order of orders) await assertRefundedOnce(order);
  await second.stop();
});
