import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cancelReasons } from '@glasshouse/shared/contracts';
import { type Fact, formatMoney, messageIdOf, subjectOf, textOf, write } from './mail.ts';

const orderId = '01993c1e-0000-7000-8000-000000000001';
const userId = '01993c1e-0000-7000-8000-000000000002';
const refundId = '01993c1e-0000-7000-8000-000000000003';
const productId = '01993c1e-0000-7000-8000-000000000004';
const paymentId = '01993c1e-0000-7000-8000-000000000005';
const time = '2026-11-21T12:00:00.000Z';
const ann = { email: 'ann@example.com', name: 'Ann' };

const yen = (amount: number) => ({ amount, currency: 'JPY' });
const facts: Fact[] = [
  {
    type: 'order.confirmed',
    time,
    data: { orderId, userId, items: [{ productId, quantity: 3, unitPrice: yen(1_500) }], total: yen(4_500) },
  },
  ...cancelReasons.map(
    (cancelReason): Fact => ({ type: 'order.cancelled', time, data: { orderId, userId, cancelReason } }),
  ),
  { type: 'order.shipped', time, data: { orderId, userId } },
  { type: 'order.delivered', time, data: { orderId, userId } },
  {
    type: 'payment.refunded',
    time,
    data: { orderId, userId, paymentId, refundId, amount: yen(4_500), cause: 'admin' },
  },
];

test('formatMoney: has the digits of the currency, also for amounts that a float of them would miss', () => {
  const cases: [number, string, string][] = [
    [0, 'USD', '$0.00'],
    [5, 'USD', '$0.05'],
    [1_999, 'EUR', '€19.99'],
    [1_999, 'JPY', '¥1,999'],
    [1_999, 'KWD', 'KWD\u00a01.999'],
    [Number.MAX_SAFE_INTEGER, 'USD', '$90,071,992,547,409.91'],
    [100, 'XXQ', 'XXQ\u00a01.00'],
  ];
  for (const [amount, currency, text] of cases) assert.equal(formatMoney({ amount, currency }), text);
});

test('messageIdOf: is one for each order and occasion, and for each refund', () => {
  const ids = facts.filter((fact) => fact.type !== 'order.cancelled').map(messageIdOf);
  assert.deepEqual(ids, [
    `<${orderId}.order.confirmed@glasshouse.example>`,
    `<${orderId}.order.shipped@glasshouse.example>`,
    `<${orderId}.order.delivered@glasshouse.example>`,
    `<${orderId}.payment.refunded.${refundId}@glasshouse.example>`,
  ]);
});

test('write: is due where the recipient is known, else it waits', () => {
  for (const fact of facts) {
    assert.equal(write('id', fact, ann, new Date()).status, 'due');
    assert.equal(write('id', fact, undefined, new Date()).status, 'waiting');
  }
});

test('textOf: greets, names order and time, and says something else for each fact', () => {
  for (const fact of facts) {
    const text = textOf(fact, ann);
    assert.match(text, /^Hello Ann,\n/);
    assert.match(text, new RegExp(`Order: ${orderId}\nTime: November 21, 2026 at 12:00\\sPM \\(UTC\\)`));
    assert.doesNotMatch(text, /undefined|NaN/);
    assert.match(subjectOf(fact), new RegExp(orderId));
  }
  assert.equal(new Set(facts.map((fact) => textOf(fact, ann))).size, facts.length);
});

test('textOf: without a name, greets all the same; a name stays on its line', () => {
  const [fact] = facts;
  assert.ok(fact);
  assert.match(textOf(fact, { ...ann, name: ' ' }), /^Hello,\n/);
  assert.match(textOf(fact, { ...ann, name: 'Ann\r\nX: y' }), /^Hello Ann X: y,\n/);
});
