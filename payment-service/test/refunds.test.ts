// Admins give money back, alone, at once, and while the order is cancelled: never more than was paid, never twice.
import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { paymentRefunded, paymentRefundFailed } from '@glasshouse/shared/contracts';
import { type Reply, waitFor } from '@glasshouse/shared/testing';
import { createWorld, gate, isRefund, type TestOrder, type World } from './support.ts';

let world: World;
let service: Awaited<ReturnType<World['start']>>;
const adminId = randomUUIDv7();
let admin: string;

before(async () => {
  world = await createWorld();
  service = await world.start();
  admin = world.keys.token(adminId, ['admin']);
});
afterEach(() => {
  world.provider.behave = () => 'pass';
});
after(() => world.stop());

/** An order that is paid: 3998. */
async function captured() {
  const order = world.anOrder();
  await world.tell(order.created, order.reserved);
  const { id } = await world.settled(order, 'captured');
  return { ...order, paymentId: id };
}
type Paid = Awaited<ReturnType<typeof captured>>;

const usd = (amount: number) => ({ amount, currency: 'USD' });
const giveBack = (
  { paymentId }: Pick<Paid, 'paymentId'>,
  body: object,
  key: string = randomUUID(),
  copy = service,
  token = admin,
): Promise<Reply> =>
  copy.call('POST', `/v1/payments/${paymentId}/refunds`, {
    token,
    body: { reason: 'It came broken.', ...body },
    headers: { 'idempotency-key': key },
  });

/** What was given back by now, as our books and the provider's have it; both have each refund once. */
async function assertGivenBack(order: TestOrder & Paid, ...amounts: number[]) {
  await world.settled(order, 'captured');
  const { rows } = await world.postgres.pool.query(
    "select id, amount from refunds where payment_id = $1 and status = 'succeeded' order by amount",
    [order.paymentId],
  );
  assert.deepEqual(
    rows.map(({ amount }) => Number(amount)),
    amounts.toSorted((a, b) => a - b),
  );
  const [charge] = await world.ledger(order);
  const inLedger = charge?.refunds.filter(({ status }) => status === 'succeeded') ?? [];
  assert.deepEqual(
    inLedger.map(({ amount, metadata }) => [amount, metadata.refundId]).sort(),
    rows.map(({ id, amount }) => [Number(amount), id]).sort(),
  );
  const { body } = await service.call('GET', `/v1/payments/${order.paymentId}`, { token: admin });
  assert.equal(
    body.refunded.amount,
    amounts.reduce((sum, amount) => sum + amount, 0),
  );
  await waitFor('each is told once', () => {
    const told = world.broker.eventsOf(paymentRefunded, order.orderId);
    return told.length === amounts.length && new Set(told.map(({ data }) => data.refundId)).size === amounts.length;
  });
}

test('refund: a part, then the rest: 202 each, the provider is told, the payment shows it', async () => {
  const order = await captured();
  const part = await giveBack(order, { amount: usd(1_000) });
  assert.equal(part.status, 202);
  const { id, createdAt, ...rest } = part.body;
  assert.deepEqual(rest, {
    paymentId: order.paymentId,
    amount: usd(1_000),
    reason: 'It came broken.',
    status: 'due',
  });
  assert.ok(Date.parse(createdAt) > 0);
  await assertGivenBack(order, 1_000);
  const [event] = world.broker.eventsOf(paymentRefunded, order.orderId);
  assert.deepEqual(event?.data, {
    orderId: order.orderId,
    userId: order.userId,
    paymentId: order.paymentId,
    refundId: id,
    amount: usd(1_000),
    cause: 'admin',
  });
  const all = await giveBack(order, {});
  assert.deepEqual(all.body.amount, usd(2_998), 'where no amount is named, all that is left');
  await assertGivenBack(order, 1_000, 2_998);
  const more = await giveBack(order, {});
  assert.deepEqual([more.status, more.body.code], [422, 'refund.too-much']);
});

test('refund: an amount in plain minor units is one in the currency of the payment', async () => {
  const order = await captured();
  const { status, body } = await giveBack(order, { amount: 7 });
  assert.deepEqual([status, body.amount], [202, usd(7)]);
  await assertGivenBack(order, 7);
});

test('refund: the same key again is the same refund, also at once; with another body refused', async () => {
  const order = await captured();
  const key = randomUUID();
  const replies = await Promise.all(Array.from({ length: 8 }, () => giveBack(order, { amount: usd(500) }, key)));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([202]));
  assert.equal(new Set(replies.map(({ body }) => body.id)).size, 1);
  await assertGivenBack(order, 500);
  const later = await giveBack(order, { amount: usd(500) }, key);
  assert.deepEqual([later.status, later.body.status], [202, 'succeeded'], 'as it is now');
  const other = await giveBack(order, { amount: usd(501) }, key);
  assert.deepEqual([other.status, other.body.code], [422, 'idempotency-key.reused']);
  await assertGivenBack(order, 500);
});

test('refund: two admins at once on two copies of the service, each wants more than half: one gets it, the other 422', async () => {
  const second = await world.start();
  const orders = await Promise.all(Array.from({ length: 10 }, captured));
  for (const order of orders) {
    const replies = await Promise.all([
      giveBack(order, { amount: usd(2_000) }),
      giveBack(order, { amount: usd(2_000) }, randomUUID(), second),
    ]);
    assert.deepEqual(replies.map(({ status }) => status).sort(), [202, 422]);
    assert.equal(replies.find(({ status }) => status === 422)?.body.code, 'refund.too-much');
  }
  for (const order of orders) await assertGivenBack(order, 2_000);
  await second.stop();
});

test('refund: the order is cancelled while a part is on its way: the rest goes back, and no more', async () => {
  const order = await captured();
  const answer = gate();
  world.provider.behave = (call) => (isRefund(call) ? { after: answer.wait } : 'pass');
  assert.equal((await giveBack(order, { amount: usd(1_500) })).status, 202);
  await waitFor('the part is made', async () => (await world.ledger(order))[0]?.refunds.length === 1);
  await world.tell(order.cancelled);
  await waitFor('the cancellation is noted', async () => (await world.payment(order))?.cancel_requested);
  const more = await giveBack(order, { amount: usd(1) });
  assert.deepEqual([more.status, more.body.code], [422, 'refund.too-much'], 'what is due is given away already');
  answer.open();
  await assertGivenBack(order, 1_500, 2_498);
});

test('refund: by an admin and by a cancellation at the same moment, many times: all of it, once', async () => {
  const orders = await Promise.all(Array.from({ length: 10 }, captured));
  for (const order of orders) {
    const [reply] = await Promise.all([
      giveBack(order, { amount: usd(1_500) }),
      world.tell(order.cancelled, order.cancelled),
    ]);
    await waitFor('the cancellation is noted', async () => (await world.payment(order))?.cancel_requested);
    await assertGivenBack(order, ...(reply.status === 202 ? [1_500, 2_498] : [3_998]));
  }
});

test('refund: a 500 that the provider stores, and an answer that is lost: made once', async () => {
  for (const trouble of [500, 'drop-answer', 'refuse'] as const) {
    const order = await captured();
    let troubles = 2;
    world.provider.behave = (call) => (isRefund(call) && troubles-- > 0 ? trouble : 'pass');
    await giveBack(order, { amount: usd(900) });
    await assertGivenBack(order, 900);
    world.provider.behave = () => 'pass';
  }
});

test('refund: one that the provider refuses for good has failed; an admin may make another', async () => {
  const order = await captured();
  const key = randomUUID();
  world.provider.behave = (call) => (isRefund(call) ? 'disputed' : 'pass');
  const { body } = await giveBack(order, {}, key);
  await waitFor('its failure is told', () => world.broker.eventsOf(paymentRefundFailed, order.orderId).length === 1);
  assert.equal(world.broker.eventsOf(paymentRefundFailed, order.orderId)[0]?.data.cause, 'admin');
  world.provider.behave = () => 'pass';
  const again = await giveBack(order, {}, key);
  assert.deepEqual([again.body.id, again.body.status], [body.id, 'failed'], 'its key stays its own');
  assert.equal((await giveBack(order, {})).status, 202);
  await assertGivenBack(order, 3_998);
});

for (const [how, lost] of [
  ['as its answer says', 0],
  ['as is found after its answer was lost', 1],
] as const)
  test(`refund: one that has failed at the provider, ${how}, has failed; an admin can give the money back still`, async () => {
    const order = await captured();
    await world.simulator.setMood({ mood: 'refund-failing', order_id: order.orderId, times: 1 });
    let drops = lost;
    world.provider.behave = (call) => (isRefund(call) && drops-- > 0 ? 'drop-answer' : 'pass');
    await world.tell(order.cancelled);
    await waitFor('its failure is told', () => world.broker.eventsOf(paymentRefundFailed, order.orderId).length === 1);
    assert.equal(world.broker.eventsOf(paymentRefundFailed, order.orderId)[0]?.data.cause, 'cancel');
    await assertGivenBack(order);
    assert.equal((await giveBack(order, {})).status, 202);
    await assertGivenBack(order, 3_998);
    assert.deepEqual(
      (await world.ledger(order))[0]?.refunds.map(({ amount, status }) => [amount, status]),
      [
        [3_998, 'failed'],
        [3_998, 'succeeded'],
      ],
    );
  });

test('refund: one that was refused for a reason that is put right is made, though its first key keeps the refusal', async () => {
  const order = await captured();
  await world.simulator.setMood({ mood: 'refusing', code: 'balance_insufficient', order_id: order.orderId, times: 2 });
  await giveBack(order, { amount: usd(700) });
  await assertGivenBack(order, 700);
  const refusals = (await world.simulator.moods()).filter(({ order_id }) => order_id === order.orderId);
  assert.deepEqual(
    refusals.map(({ acted }) => acted),
    [2],
  );
});

for (const status of [400, 503])
  test(`refund: a ${status} that is not stored under the key does not make a second one of a try that is still on its way`, async () => {
    const order = await captured();
    const late = gate();
    const tries: (string | undefined)[] = [];
    world.provider.behave = (call) => {
      if (!isRefund(call)) return 'pass';
      tries.push(call.key);
      if (tries.length === 1) return { wait: late.wait };
      return tries.length === 2 ? status : 'pass';
    };
    await giveBack(order, { amount: usd(900) });
    await assertGivenBack(order, 900);
    late.open();
    await world.another();
    await assertGivenBack(order, 900);
    assert.equal(new Set(tries).size, 1);
  });

test('refund: what was not captured is a 422, of no payment a 404', async () => {
  const declined = world.anOrder({ paymentMethod: 'pm_card_chargeDeclined' });
  await world.tell(declined.created, declined.reserved);
  const { id: failed } = await world.settled(declined, 'failed');
  const due = world.anOrder();
  await world.tell(due.created);
  const { id: noted } = await world.settled(due, 'due');
  for (const paymentId of [failed, noted]) {
    const { status, body } = await giveBack({ paymentId }, {});
    assert.deepEqual([status, body.code], [422, 'refund.not-captured']);
  }
  const stock = world.anOrder();
  await world.tell(stock.reserved);
  const { id: unknown } = await world.settled(stock, 'due');
  for (const paymentId of [unknown, randomUUIDv7(), 'seven'])
    assert.equal((await giveBack({ paymentId }, {})).status, 404, paymentId);
});

test('refund: bad requests are refused clearly, and leave the key free', async () => {
  const order = await captured();
  const key = randomUUID();
  const bodies = [
    { amount: usd(0) },
    { amount: -5 },
    { amount: 1.5 },
    { amount: { amount: 5 } },
    { amount: { amount: 5, currency: 'XXZ' } },
    { amount: '5' },
    { amount: usd(5), extra: true },
    { reason: '' },
    { reason: 'a\u0000b' },
    { reason: 7 },
  ];
  for (const body of bodies) {
    const reply = await giveBack(order, body, key);
    assert.deepEqual([reply.status, reply.body.code], [422, 'body.invalid'], JSON.stringify(body));
  }
  assert.equal(
    (await giveBack(order, { amount: { amount: 5, currency: 'EUR' } }, key)).body.code,
    'refund.other-currency',
  );
  assert.equal((await giveBack(order, { amount: 4_000 }, key)).body.code, 'refund.too-much');
  const path = `/v1/payments/${order.paymentId}/refunds`;
  const unkeyed = await service.call('POST', path, { token: admin, body: { reason: 'x' } });
  assert.deepEqual([unkeyed.status, unkeyed.body.code], [400, 'idempotency-key.missing']);
  assert.equal((await giveBack(order, {}, key, service, order.token)).status, 403, 'a customer');
  assert.equal((await service.call('POST', path, { body: { reason: 'x' } })).status, 401);
  assert.equal((await giveBack(order, { amount: usd(5) }, key)).status, 202);
  await assertGivenBack(order, 5);
});
