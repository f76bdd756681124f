// The rules of a payment and of a refund, without a server.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { AppError } from '@glasshouse/shared/errors';
import fc from 'fast-check';
import { cancel, isChargeable, note, type Payment, paymentStatuses, reserve, settle, type Terms } from './payment.ts';
import { amountToRefund, type Refund, refundable, refundEvent } from './refund.ts';

const terms: Terms = {
  userId: randomUUIDv7(),
  amount: { amount: 3998, currency: 'USD' },
  paymentMethod: 'pm_card_visa',
  payBy: new Date('2026-03-01T12:02:00.000Z'),
  items: [],
};
const blank: Payment = {
  id: randomUUIDv7(),
  orderId: randomUUIDv7(),
  status: 'due',
  reserved: false,
  cancelRequested: false,
  createdAt: new Date(0),
  updatedAt: new Date(0),
};
const charging: Payment = { ...blank, terms, reserved: true, status: 'charging' };
const steps = { note: (payment: Payment) => note(payment, terms), reserve, cancel };
type Step = keyof typeof steps;

test('isChargeable: in every order of arrival, from the moment that both are known, unless the order was cancelled', () => {
  const anyStep = fc.constantFrom<Step>('note', 'reserve', 'cancel');
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 8 }), (arrived) => {
      const payment = arrived.reduce((state, step) => steps[step](state), blank);
      const has = (step: Step) => arrived.includes(step);
      assert.equal(isChargeable(payment), has('note') && has('reserve') && !has('cancel'));
      assert.equal(payment.status, has('cancel') ? 'void' : 'due');
      assert.equal(payment.cancelRequested, has('cancel'));
      assert.deepEqual(payment.terms, has('note') ? terms : undefined, 'also filled in on what is void');
    }),
  );
});

test('note: what is known stays as it is', () => {
  const other = { ...terms, amount: { amount: 1, currency: 'EUR' } };
  assert.deepEqual(note(note(blank, terms), other).terms, terms);
});

test('isChargeable: only what is due', () => {
  for (const status of paymentStatuses) assert.equal(isChargeable({ ...charging, status }), status === 'due', status);
});

test('cancel: voids what is due; what is under way or decided keeps its status and remembers', () => {
  for (const status of paymentStatuses) {
    const cancelled = cancel({ ...charging, status });
    assert.equal(cancelled.status, status === 'due' ? 'void' : status);
    assert.equal(cancelled.cancelRequested, true);
    assert.deepEqual(cancel(cancelled), cancelled, 'twice is once');
  }
});

test('settle: succeeded is captured, declined is failed with its code, cancelled is void and tells nothing', () => {
  const { id: paymentId, orderId } = charging;
  const { userId, amount } = terms;
  assert.deepEqual(settle(charging, { kind: 'succeeded' }), {
    payment: { ...charging, status: 'captured' },
    events: [{ type: 'payment.captured', subject: orderId, data: { orderId, userId, paymentId, amount } }],
  });
  assert.deepEqual(settle(charging, { kind: 'declined', code: 'insufficient_funds', message: 'No.' }), {
    payment: { ...charging, status: 'failed', failureCode: 'insufficient_funds' },
    events: [
      {
        type: 'payment.failed',
        subject: orderId,
        data: { orderId, userId, code: 'insufficient_funds', message: 'No.' },
      },
    ],
  });
  assert.deepEqual(settle(charging, { kind: 'cancelled' }), { payment: { ...charging, status: 'void' }, events: [] });
});

test('settle: where no charge is under way, throws', () => {
  for (const status of paymentStatuses.filter((other) => other !== 'charging'))
    assert.throws(() => settle({ ...charging, status }, { kind: 'succeeded' }), /is not being charged/);
});

test('refundable: what was captured without what is due or has succeeded; what failed can be tried again', () => {
  const refund = (amount: number, status: Refund['status']) => ({ amount: { amount, currency: 'USD' }, status });
  assert.equal(refundable(1000, []), 1000);
  assert.equal(refundable(1000, [refund(300, 'due'), refund(200, 'succeeded'), refund(400, 'failed')]), 500);
  assert.equal(refundable(1000, [refund(1000, 'due')]), 0);
});

test('amountToRefund: what is wanted, or all that is left; never more, and nothing of what was not captured', () => {
  const captured: Payment = { ...charging, status: 'captured' };
  const usd = (amount: number) => ({ amount, currency: 'USD' });
  const refunds = [{ amount: usd(1_000), status: 'succeeded' as const }];
  assert.deepEqual(amountToRefund(captured, refunds), usd(2_998));
  assert.deepEqual(amountToRefund(captured, refunds, usd(2_998)), usd(2_998));
  assert.deepEqual(amountToRefund(captured, refunds, 1), usd(1));
  const refusals = [
    [() => amountToRefund(captured, refunds, 2_999), 'refund.too-much'],
    [() => amountToRefund(captured, [{ amount: usd(3_998), status: 'due' }]), 'refund.too-much'],
    [() => amountToRefund(captured, refunds, { amount: 1, currency: 'EUR' }), 'refund.other-currency'],
    ...paymentStatuses
      .filter((status) => status !== 'captured')
      .map((status) => [() => amountToRefund({ ...charging, status }, []), 'refund.not-captured'] as const),
  ] as const;
  for (const [refuse, code] of refusals)
    assert.throws(refuse, (error) => error instanceof AppError && error.kind === 'invalid' && error.code === code);
});

test('refundEvent: tells what became of it', () => {
  const refund: Refund = {
    id: randomUUIDv7(),
    paymentId: randomUUIDv7(),
    amount: { amount: 5, currency: 'USD' },
    reason: 'broken',
    cause: 'admin',
    status: 'due',
    createdAt: new Date(0),
  };
  const order = { orderId: randomUUIDv7(), userId: randomUUIDv7() };
  const data = { ...order, paymentId: refund.paymentId, refundId: refund.id, amount: refund.amount, cause: 'admin' };
  assert.deepEqual(refundEvent(refund, order, true), { type: 'payment.refunded', subject: order.orderId, data });
  assert.deepEqual(refundEvent(refund, order, false), { type: 'payment.refund-failed', subject: order.orderId, data });
});
