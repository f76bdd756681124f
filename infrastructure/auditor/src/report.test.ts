// What people read: a line for each equation, at most 10 findings below it, and the totals.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Audit } from './index.ts';
import { formatMoney } from './money.ts';
import { asJson, asText } from './report.ts';

const findings = Array.from({ length: 12 }, (_, index) => ({ id: `order ${index}`, problem: 'is pending' }));
const result: Audit = {
  ok: false,
  quiet: {
    reached: false,
    waitedS: 180,
    look: { begunAt: 0, endedAt: 0, handled: 0, underWay: ['payment-service: 1 refunds due'] },
  },
  equations: [
    { id: 'a', says: 'Every order has been decided.', ok: false, checked: 2000, unit: 'orders', findings },
    { id: 'j', says: 'No message waits.', ok: true, checked: 33, unit: 'queues', findings: [] },
  ],
  totals: {
    orders: { confirmed: 1500, cancelled: 500 },
    captured: [
      { amount: 123456, currency: 'USD' },
      { amount: 500, currency: 'JPY' },
    ],
    refunded: [],
    unitsSold: 12345,
  },
};

it('asText: shows each equation, ten findings, the number of the others, and the totals', () => {
  const lines = asText(result).split('\n');
  assert.match(lines[0] ?? '', /still under way after 180 s/);
  assert.match(lines[1] ?? '', /payment-service: 1 refunds due/);
  assert.ok(lines.includes('FAILED (a) Every order has been decided. (2,000 orders)'));
  assert.equal(lines.filter((line) => line.endsWith(': is pending')).length, 10);
  assert.ok(lines.some((line) => line.trim() === 'and 2 more'));
  assert.ok(lines.includes('ok     (j) No message waits. (33 queues)'));
  assert.ok(
    lines.includes(
      'Orders: 1,500 confirmed, 500 cancelled. Paid: 1,234.56 USD, 500 JPY. Given back: none. Units sold: 12,345.',
    ),
  );
  assert.equal(lines.at(-1), '1 of 2 lines do not hold.');
});

it('asJson: says the same', () => {
  const json = JSON.parse(asJson(result));
  assert.equal(json.ok, false);
  assert.deepEqual(json.quiet, { reached: false, waitedS: 180, underWay: ['payment-service: 1 refunds due'] });
  assert.equal(json.equations[0].failures, 12);
  assert.equal(json.equations[0].findings.length, 10);
  assert.deepEqual(json.totals, result.totals);
});

it('formatMoney: knows the digits of a currency, and prints what is none', () => {
  assert.equal(formatMoney(1999, 'USD'), '19.99 USD');
  assert.equal(formatMoney(-5, 'USD'), '-0.05 USD');
  assert.equal(formatMoney(1999, 'KWD'), '1.999 KWD');
  assert.equal(formatMoney(9007199254740991, 'USD'), '90,071,992,547,409.91 USD');
  assert.equal(formatMoney(5, 'dollars'), '5 minor units of "dollars"');
});
