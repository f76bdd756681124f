// Unit test of an invoice's sums.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { invoiceOf } from './invoice.ts';
import { type Payment, paymentStatuses } from './payment.ts';
import type { Refund } from './refund.ts';

const usd = (amount: number) => ({ amount, currency: 'USD' });
const at = (time: string) => new Date(`2026-03-01T${time}:00.000Z`);
const items = [
  { productId: randomUUIDv7(), name: 'Kettle', quantity: 2, unitPrice: usd(1999) },
  { productId: randomUUIDv7(), quantity: 10_000, unitPrice: usd(1) },
];
const captured: Payment = {
  id: '019c0f40-1c88-7b0e-b1d2-6f2f8e9a7d20',
  orderId: randomUUIDv7(),
  status: 'captured',
  terms: { userId: randomUUIDv7(), amount: usd(13_998), paymentMethod: 'pm_card_visa', payBy: at('12:02'), items },
  reserved: true,
  cancelRequested: false,
  capturedAt: at('12:01'),
  createdAt: at('12:00'),
  updatedAt: at('12:05'),
};
const refund = (status: Refund['status'], amount: number): Refund => ({
  id: randomUUIDv7(),
  paymentId: captured.id,
  amount: usd(amount),
  reason: 'A scratch.',
  cause: 'admin',
  status,
  createdAt: at('12:03'),
});

test('invoiceOf: has a line for each item, the refunds that were made, and what is left', () => {
  const refunds = [refund('succeeded', 1000), refund('due', 100), refund('failed', 10), refund('succeeded', 2998)];
  const { number, issuedAt, lines, total, refunds: made, balance } = invoiceOf(captured, refunds);
  assert.deepEqual([number, issuedAt], ['INV-20260301-6F2F8E9A7D20', at('12:01')]);
  assert.deepEqual(
    lines.map(({ name, lineTotal }) => [name, lineTotal]),
    [
      ['Kettle', usd(3998)],
      [undefined, usd(10_000)],
    ],
  );
  assert.deepEqual([total, made, balance], [usd(13_998), [refunds[0], refunds[3]], usd(10_000)]);
});

test('invoiceOf: where the time of the capture was not kept, is of a time that never moves', () => {
  const { capturedAt: _, ...unknown } = captured;
  for (const updatedAt of [at('12:05'), at('23:59')])
    assert.deepEqual(invoiceOf({ ...unknown, updatedAt }, []).issuedAt, at('12:00'));
});

test('invoiceOf: refuses what was not captured', () => {
  for (const status of paymentStatuses.filter((other) => other !== 'captured'))
    assert.throws(() => invoiceOf({ ...captured, status }, []), { kind: 'conflict', code: 'payment.not-captured' });
});
