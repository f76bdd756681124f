// Whether the customers' own record finds what is wrong: for each thing that must hold, books in which it does not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Asked, type CustomerRecord, createRecord } from './record.ts';
import { type Allowances, type Books, judge, type ToldOrder } from './verdict.ts';

const strict: Allowances = { serverErrors: false, mailCopies: false };
const CREATED_AT = '2030-01-01T00:00:00.000Z';

/** One customer, two orders of two units at 500 each: one stands, the other was declined. */
function world(): { record: CustomerRecord; books: Books; asked: [Asked, Asked]; orders: [ToldOrder, ToldOrder] } {
  const ask = (id: string, card: Asked['card']): Asked => ({
    key: `key-${id}`,
    customer: 0,
    items: [{ productId: 'product', quantity: 2, unitPrice: 500, isScarce: false }],
    card,
    cancels: false,
    repeats: false,
    ids: new Set([id]),
    total: 1_000,
    cancelled: false,
  });
  const order = (id: string, status: string): ToldOrder => ({
    id,
    status,
    total: { amount: 1_000 },
    items: [{ productId: 'product', quantity: 2 }],
    createdAt: CREATED_AT,
    updatedAt: '2030-01-01T00:00:01.500Z',
  });
  const asked: [Asked, Asked] = [ask('good', 'pm_card_visa'), ask('bad', 'pm_card_chargeDeclined')];
  const orders: [ToldOrder, ToldOrder] = [
    order('good', 'confirmed'),
    { ...order('bad', 'cancelled'), cancelReason: 'payment_declined' },
  ];
  const record: CustomerRecord = { ...createRecord(), asked, answers: new Map([[201, 2]]) };
  const charge = { status: 'succeeded', amount: 1_000, metadata: { orderId: 'good' }, refunds: [] };
  const failed = { status: 'requires_payment_method', amount: 1_000, metadata: { orderId: 'bad' }, refunds: [] };
  const books: Books = {
    orders: [orders],
    charges: [charge, failed],
    messageIds: ['<good.order.confirmed@shop>', '<bad.order.cancelled@shop>'],
    products: [{ id: 'product', stockAtFirst: 10, stockNow: 8 }],
    faultEndedAt: Date.parse(CREATED_AT),
  };
  return { record, books, asked, orders };
}

test('what was promised is there, paid once and told once: nothing is wrong', () => {
  const { record, books } = world();
  assert.deepEqual(judge(record, books, strict), {
    acknowledged: 2,
    confirmed: 1,
    cancelled: 1,
    timedOut: 0,
    lost: 0,
    doubled: 0,
    oversold: 0,
    stuck: 0,
    mischarged: 0,
    mailCopies: 0,
    longestS: 1.5,
    violations: [],
  });
});

type World = ReturnType<typeof world>;
const wrongs: Record<string, { spoil(world: World): void; found: Partial<ReturnType<typeof judge>>; says: RegExp }> = {
  'an order that was promised is not there': {
    spoil({ asked: [good] }) {
      good.ids = new Set(['gone']);
    },
    found: { lost: 1 },
    says: /gone was promised and is not there/,
  },
  'one key was answered with two orders': {
    spoil({ asked: [good], orders: [order], books }) {
      good.ids.add('twin');
      books.orders[0]?.push({ ...order, id: 'twin', status: 'cancelled', cancelReason: 'out_of_stock' });
      books.messageIds.push('<twin.order.cancelled@shop>');
    },
    found: { doubled: 2 },
    says: /answered with several orders: good, twin/,
  },
  'there is an order that nobody asked for': {
    spoil({ orders: [, declined], books }) {
      books.orders[0]?.push({ ...declined, id: 'stray' });
      books.messageIds.push('<stray.order.cancelled@shop>');
    },
    found: { doubled: 1 },
    says: /1 orders more than were asked for/,
  },
  'two keys were answered with one order': {
    spoil({ asked: [good, declined] }) {
      declined.ids = good.ids;
    },
    found: {},
    says: /good was the answer to two keys/,
  },
  'an order is answered that is another customer’s': {
    spoil({ asked: [good] }) {
      good.customer = 1;
    },
    found: { lost: 1 },
    says: /good was promised and is not there/,
  },
  'an order is refused although there is plenty': {
    spoil({ orders: [, declined] }) {
      declined.cancelReason = 'out_of_stock';
    },
    found: {},
    says: /bad was refused although there is plenty/,
  },
  'a customer has given up': {
    spoil({ record }) {
      record.givenUp.push('an order');
    },
    found: {},
    says: /given up on an order/,
  },
  'nobody got an order': {
    spoil({ asked }) {
      for (const each of asked) each.ids.clear();
    },
    found: { acknowledged: 0 },
    says: /no order was acknowledged/,
  },
  'an order is pending': {
    spoil({ orders: [, declined] }) {
      declined.status = 'pending';
      delete declined.cancelReason;
    },
    found: { stuck: 1 },
    says: /bad is pending/,
  },
  'an order was final too late': {
    spoil({ orders: [order] }) {
      order.updatedAt = '2030-01-01T00:01:01.000Z';
    },
    found: { stuck: 1, longestS: 61 },
    says: /good was final only 61 s after/,
  },
  'an order has reached its deadline': {
    spoil({ orders: [, declined] }) {
      declined.cancelReason = 'timeout';
    },
    found: { timedOut: 1 },
    says: /1 orders reached their deadline/,
  },
  'two orders are paid with each other’s money': {
    spoil({ orders: [, declined], books }) {
      declined.status = 'confirmed';
      books.charges[0] = { status: 'succeeded', amount: 2_000, metadata: { orderId: 'good' }, refunds: [] };
    },
    found: { mischarged: 2 },
    says: /order bad 1000 is owed, and 0 was paid/,
  },
  'a customer is charged twice': {
    spoil({ books }) {
      books.charges.push({ status: 'succeeded', amount: 1_000, metadata: { orderId: 'good' }, refunds: [] });
    },
    found: { mischarged: 1 },
    says: /order good 1000 is owed, and 2000 was paid/,
  },
  'a standing order is refunded': {
    spoil({ books }) {
      books.charges[0]?.refunds.push({ amount: 400, status: 'succeeded' });
    },
    found: { mischarged: 1 },
    says: /order good 1000 is owed, and 600 was paid/,
  },
  'more is sold than there was': {
    spoil({ books }) {
      books.products = [{ id: 'product', stockAtFirst: 1, stockNow: -1 }];
    },
    found: { oversold: 0 },
    says: /there were 1, 2 are sold, and -1 are left/,
  },
  'units are gone and not sold': {
    spoil({ books }) {
      books.products = [{ id: 'product', stockAtFirst: 10, stockNow: 6 }];
    },
    found: { oversold: 2 },
    says: /there were 10, 2 are sold, and 6 are left/,
  },
  'a mail comes twice': {
    spoil({ books }) {
      books.messageIds.push('<good.order.confirmed@shop>');
    },
    found: { mailCopies: 1 },
    says: /good\.order\.confirmed@shop> came 2 times/,
  },
  'a mail does not come': {
    spoil({ books }) {
      books.messageIds.shift();
    },
    found: {},
    says: /nobody was told of order\.confirmed good/,
  },
  'an order costs another sum': {
    spoil({ orders: [order], books }) {
      order.total.amount = 900;
      books.charges[0] = { status: 'succeeded', amount: 900, metadata: { orderId: 'good' }, refunds: [] };
    },
    found: {},
    says: /should cost 1000, was promised for 1000 and costs 900/,
  },
  'an order stands whose card was declined': {
    spoil({ asked: [good] }) {
      good.card = 'pm_card_chargeDeclined';
    },
    found: {},
    says: /good stands although its card was declined/,
  },
  'an order was declined whose card is good': {
    spoil({ asked: [, declined] }) {
      declined.card = 'pm_card_visa';
    },
    found: {},
    says: /bad was declined although its card is good/,
  },
  'an order stands that its customer has cancelled': {
    spoil({ asked: [good] }) {
      good.cancels = true;
      good.cancelled = true;
    },
    found: {},
    says: /good stands although its customer has cancelled it/,
  },
  'a customer sees a 502': {
    spoil({ record }) {
      record.answers.set(502, 3);
    },
    found: {},
    says: /customers saw 3 × 502/,
  },
  'a customer sees what nobody should': {
    spoil({ record }) {
      record.unexpected.push('409 {}');
    },
    found: {},
    says: /answered with 409/,
  },
};

for (const [what, { spoil, found, says }] of Object.entries(wrongs))
  test(`${what}: found`, () => {
    const spoiled = world();
    spoil(spoiled);
    const verdict = judge(spoiled.record, spoiled.books, strict);
    assert.match(verdict.violations.join('\n'), says);
    for (const [name, value] of Object.entries(found)) assert.equal(verdict[name as keyof typeof verdict], value, name);
  });

test('what a scenario may cause is counted and not held against it', () => {
  const { record, books } = world();
  record.answers.set(503, 1).set('timed out', 1);
  books.messageIds.push('<good.order.confirmed@shop>');
  const verdict = judge(record, books, { serverErrors: true, mailCopies: true });
  assert.deepEqual(verdict.violations, []);
  assert.equal(verdict.mailCopies, 1);
});

test('a 500 is never allowed', () => {
  const { record, books } = world();
  record.answers.set(500, 1);
  assert.deepEqual(judge(record, books, { serverErrors: true, mailCopies: true }).violations, [
    'customers saw 1 × 500',
  ]);
});
