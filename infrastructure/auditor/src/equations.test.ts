// Each equation holds for sound books, and each of its clauses is seen to fail when one fact is changed.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { fullTopology } from '@glasshouse/shared/event-bus';
import { judge } from './equations.ts';
import type { LedgerCharge } from './read/ledger.ts';
import type { Mail } from './read/notifications.ts';
import type { MailedEvent, Order, OrderStatus } from './read/orders.ts';
import type { Payment, Refund } from './read/payments.ts';
import type { Product, Reservation } from './read/products.ts';
import type { AuditData } from './read/sources.ts';

const kettle = { productId: 'kettle', quantity: 2 };
const mug = { productId: 'mug', quantity: 3 };

/** One order of 2 kettles and 3 mugs, as all services know it. */
interface Story {
  id: string;
  status: OrderStatus;
  payment: Payment['status'];
  reservation: Reservation['state'];
  refunds?: { id: string; amount: number; cause: Refund['cause'] }[];
  events: Partial<Record<MailedEvent, number>>;
}

const stories: Story[] = [
  { id: 'confirmed', status: 'confirmed', payment: 'captured', reservation: 'sold', events: { 'order.confirmed': 1 } },
  {
    id: 'shipped',
    status: 'shipped',
    payment: 'captured',
    reservation: 'sold',
    refunds: [
      { id: 'r1', amount: 100, cause: 'admin' },
      { id: 'r2', amount: 200, cause: 'admin' },
    ],
    events: { 'order.confirmed': 1, 'order.shipped': 1, 'payment.refunded': 2 },
  },
  {
    id: 'delivered',
    status: 'delivered',
    payment: 'captured',
    reservation: 'sold',
    events: { 'order.confirmed': 1, 'order.shipped': 1, 'order.delivered': 1 },
  },
  {
    id: 'returned',
    status: 'cancelled',
    payment: 'captured',
    reservation: 'released',
    refunds: [{ id: 'r3', amount: 1300, cause: 'cancel' }],
    events: { 'order.confirmed': 1, 'order.cancelled': 1, 'payment.refunded': 1 },
  },
  {
    id: 'declined',
    status: 'cancelled',
    payment: 'failed',
    reservation: 'released',
    events: { 'order.cancelled': 1 },
  },
  {
    id: 'rejected',
    status: 'cancelled',
    payment: 'void',
    reservation: 'cancelled',
    events: { 'order.cancelled': 1 },
  },
];

const ledgerStatus: Partial<Record<Payment['status'], string>> = {
  captured: 'succeeded',
  failed: 'requires_payment_method',
};

/** Sound books: a copy of their own for whoever changes them. */
function soundBooks() {
  const orders = new Map<string, Order>();
  const reservations = new Map<string, Reservation>();
  const timeline: AuditData['orders']['timeline'] = [];
  const payments: Payment[] = [];
  const mails: Mail[] = [];
  const ledger: LedgerCharge[] = [];
  for (const { id, status, payment, reservation, refunds = [], events } of stories) {
    orders.set(id, {
      id,
      userId: 'ann',
      status,
      total: { amount: 1300, currency: 'USD' },
      itemsTotal: 1300,
      items: [{ ...kettle }, { ...mug }],
    });
    reservations.set(id, { orderId: id, state: reservation, items: [{ ...mug }, { ...kettle }] });
    const paymentId = `payment-${id}`;
    const hasIntent = ledgerStatus[payment] !== undefined;
    payments.push({
      id: paymentId,
      orderId: id,
      status: payment,
      amount: 1300,
      currency: 'USD',
      intentId: hasIntent ? `pi-${id}` : null,
      refunds: refunds.map((refund) => ({ ...refund, paymentId, status: 'succeeded' })),
    });
    if (hasIntent)
      ledger.push({
        paymentIntentId: `pi-${id}`,
        status: ledgerStatus[payment] ?? '',
        amount: 1300,
        currency: 'USD',
        refunds: refunds.map((refund) => ({
          refundId: `re-${refund.id}`,
          amount: refund.amount,
          status: 'succeeded',
          metadata: { refundId: refund.id },
        })),
      });
    for (const [type, count] of Object.entries(events) as [MailedEvent, number][]) {
      timeline.push({ orderId: id, type, events: count });
      for (let index = 0; index < count; index += 1) {
        const refundId = type === 'payment.refunded' ? (refunds[index]?.id ?? null) : null;
        mails.push({ id: `mail-${mails.length}`, orderId: id, occasion: type, refundId, status: 'sent' });
      }
    }
  }
  // An intent that was made and never confirmed, and one that was given up: no money moved.
  for (const status of ['requires_confirmation', 'canceled'])
    ledger.push({ paymentIntentId: `pi-${status}`, status, amount: 5, currency: 'EUR', refunds: [] });

  const product = (id: string, amount: number, sold: number): Product => ({
    id,
    name: `The ${id}`,
    price: { amount, currency: 'USD' },
    version: 3,
    deleted: false,
    available: 10,
    held: 0,
    sold,
  });
  const products = new Map([
    ['kettle', product('kettle', 500, 6)],
    ['mug', product('mug', 100, 9)],
    ['old', { ...product('old', 1, 0), deleted: true }],
  ]);
  const books = {
    users: { users: [{ id: 'ann', email: 'ann@example.com', name: 'Ann', version: 2 }], outbox: 0 },
    orders: {
      orders,
      timeline,
      keys: [...orders.keys()].map((orderId) => ({ userId: 'ann', key: `key-${orderId}`, orderId })),
      priceList: [...products.values()].map(({ id, version, deleted, name, price }) => ({
        productId: id,
        version,
        deleted,
        // What was deleted before the price list heard of it has neither name nor price there.
        name: deleted ? null : name,
        price: deleted ? null : price.amount,
        currency: deleted ? null : price.currency,
      })),
      outbox: 0,
    },
    payments: { payments, outbox: 0 },
    products: {
      products,
      reservations,
      received: new Map([
        ['kettle', 16],
        ['mug', 19],
        ['old', 10],
      ]),
      outbox: 0,
    },
    notifications: {
      addressBook: [{ id: 'ann', email: 'ann@example.com', name: 'Ann', version: 2 }],
      mails,
      outbox: 0,
    },
    ledger,
    queues: fullTopology().queues.map(({ name }) => ({ name, messages: 0 })),
  } satisfies AuditData;
  return books as typeof books & AuditData;
}

type Books = ReturnType<typeof soundBooks>;

const failing = (books: AuditData) => judge(books).filter(({ ok }) => !ok);

/** That which must be there, or the test is wrong. */
function the<T>(thing: T | undefined): T {
  assert.ok(thing !== undefined);
  return thing;
}
const order = (books: Books, id: string) => the(books.orders.orders.get(id));
const payment = (books: Books, id: string) => the(books.payments.payments.find(({ orderId }) => orderId === id));
const reservation = (books: Books, id: string) => the(books.products.reservations.get(id));
const product = (books: Books, id: string) => the(books.products.products.get(id));
const charge = (books: Books, id: string) =>
  the(books.ledger.find(({ paymentIntentId }) => paymentIntentId === `pi-${id}`));
const refundOf = (books: Books, id: string) => the(payment(books, id).refunds[0]);
const mailOf = (books: Books, id: string, occasion: string) =>
  the(books.notifications.mails.find((mail) => mail.orderId === id && mail.occasion === occasion));
const priceOf = (books: Books, id: string) => the(books.orders.priceList.find(({ productId }) => productId === id));

it('judge: sound books hold in every line, and everything was looked at', () => {
  const results = judge(soundBooks());
  assert.deepEqual(
    results.filter(({ ok }) => !ok),
    [],
  );
  const checked = Object.fromEntries(results.map((result) => [result.id, result.checked]));
  assert.deepEqual(checked, { a: 6, b: 6, c: 3, d: 3, e: 19, f: 3, g: 18, h: 13, i: 4, j: 33 });
});

it('judge: empty books hold', () => {
  const empty = soundBooks();
  empty.orders = { orders: new Map(), timeline: [], keys: [], priceList: [], outbox: 0 };
  empty.payments.payments = [];
  empty.products = { ...empty.products, products: new Map(), reservations: new Map(), received: new Map() };
  empty.users.users = [];
  empty.notifications = { addressBook: [], mails: [], outbox: 0 };
  empty.ledger = [];
  assert.deepEqual(failing(empty), []);
});

it('judge: when an admin gave all of the money of an order back, nothing fails', () => {
  const books = soundBooks();
  const all = { id: 'r9', paymentId: 'payment-delivered', amount: 1300, cause: 'admin', status: 'succeeded' } as const;
  payment(books, 'delivered').refunds.push(all);
  const made = { refundId: 're-9', amount: 1300, status: 'succeeded', metadata: { refundId: 'r9' } };
  charge(books, 'delivered').refunds.push(made);
  assert.deepEqual(failing(books), []);
});

const set = <T extends object>(thing: T, change: Partial<T>) => Object.assign(thing, change);

/** What is changed, which lines must fail then (all others hold), and what one of the findings says. */
type Case = [what: string, letters: string, change: (books: Books) => unknown, says: RegExp];

const cases: Case[] = [
  ['an order is pending', 'a', (b) => set(order(b, 'rejected'), { status: 'pending' }), /order rejected: is pending/],

  [
    'a total is not the sum of the items',
    'b',
    (b) => set(order(b, 'rejected'), { itemsTotal: 1299 }),
    /costs 13.00 USD, its items 12.99 USD/,
  ],
  [
    'a payment is of another amount',
    'b',
    (b) => set(payment(b, 'declined'), { amount: 1301 }),
    /its payment is of 13.01 USD/,
  ],
  [
    'a payment is in another currency',
    'b',
    (b) => set(payment(b, 'declined'), { currency: 'JPY' }),
    /its payment is of 1,300 JPY/,
  ],
  ['a payment knows no amount', 'b', (b) => set(payment(b, 'rejected'), { amount: null }), /payment without an amount/],
  ['an order has no payment', 'b', (b) => b.payments.payments.splice(5, 1), /order rejected: has no payment/],
  ['an order has no reservation', 'b', (b) => b.products.reservations.delete('rejected'), /has no reservation/],
  [
    'a reservation has another quantity',
    'b',
    (b) => set(the(reservation(b, 'declined').items[0]), { quantity: 1 }),
    /its reservation is for 1 × mug, 2 × kettle/,
  ],
  [
    'a reservation lacks an item',
    'b',
    (b) => reservation(b, 'declined').items.pop(),
    /its reservation is for 3 × mug$/,
  ],
  [
    'a reservation has no items',
    'b',
    (b) => set(reservation(b, 'declined'), { items: [] }),
    /its reservation is for nothing/,
  ],

  [
    'a confirmed order is not paid, and the provider agrees',
    'c',
    (b) => {
      set(payment(b, 'confirmed'), { status: 'failed' });
      set(charge(b, 'confirmed'), { status: 'requires_payment_method' });
    },
    /order confirmed: is confirmed and costs 13.00 USD; paid were 0.00 USD/,
  ],
  [
    'a shipped order is not paid, and the provider agrees',
    'c',
    (b) => {
      set(payment(b, 'shipped'), { status: 'void', refunds: [] });
      set(charge(b, 'shipped'), { status: 'canceled', refunds: [] });
    },
    /order shipped: is shipped and costs 13.00 USD; paid were 0.00 USD/,
  ],
  [
    'a delivered order has its reservation released, and a cancelled one has it sold',
    'cd',
    (b) => {
      set(reservation(b, 'delivered'), { state: 'released' });
      set(reservation(b, 'returned'), { state: 'sold' });
    },
    /order delivered: is delivered, but its reservation is released/,
  ],
  [
    'more is given back than was paid, and the provider agrees',
    'c',
    (b) => {
      set(refundOf(b, 'shipped'), { amount: 1101 });
      set(the(charge(b, 'shipped').refunds[0]), { amount: 1101 });
    },
    /paid were 13.00 USD, given back 13.01 USD/,
  ],
  [
    'a standing order has a refund of a cancellation',
    'c',
    (b) => set(refundOf(b, 'shipped'), { cause: 'cancel' }),
    /refund r1 was made for a cancellation/,
  ],

  [
    'a cancelled order has not got all of its money back, and the provider agrees',
    'd',
    (b) => {
      set(refundOf(b, 'returned'), { amount: 1299 });
      set(the(charge(b, 'returned').refunds[0]), { amount: 1299 });
    },
    /order returned: is cancelled; paid were 13.00 USD, given back 12.99 USD/,
  ],
  [
    'the refund of a cancelled order has failed, and the provider agrees',
    'd',
    (b) => {
      set(refundOf(b, 'returned'), { status: 'failed' });
      set(the(charge(b, 'returned').refunds[0]), { status: 'failed' });
    },
    /given back 0.00 USD/,
  ],
  [
    'a cancelled order holds items',
    'df',
    (b) => {
      set(reservation(b, 'declined'), { state: 'held', items: [] });
      set(reservation(b, 'declined'), { items: order(b, 'declined').items });
      set(product(b, 'kettle'), { held: 2, available: 8 });
      set(product(b, 'mug'), { held: 3, available: 7 });
    },
    /order declined: is cancelled, but its items are held/,
  ],
  [
    'a cancelled order has its items sold',
    'df',
    (b) => set(reservation(b, 'rejected'), { state: 'sold' }),
    /order rejected: is cancelled, but its items are sold/,
  ],

  ['a charge is due', 'e', (b) => set(payment(b, 'rejected'), { status: 'due' }), /its charge is open \(due\)/],
  [
    'a charge is under way',
    'e',
    (b) => set(payment(b, 'declined'), { status: 'charging' }),
    /its charge is open \(charging\)/,
  ],
  [
    'a refund is due',
    'e',
    (b) =>
      payment(b, 'confirmed').refunds.push({
        id: 'r9',
        paymentId: 'payment-confirmed',
        amount: 1,
        cause: 'admin',
        status: 'due',
      }),
    /refund r9: is open/,
  ],
  [
    'the provider is still charging',
    'e',
    (b) => set(charge(b, 'canceled'), { status: 'processing' }),
    /charge pi-canceled: the provider has not finished it \(processing\)/,
  ],
  [
    'the provider is still refunding',
    'e',
    (b) => charge(b, 'confirmed').refunds.push({ refundId: 're-9', amount: 1, status: 'pending', metadata: {} }),
    /refund re-9: the provider has not finished it/,
  ],
  [
    'a captured payment is unknown to the provider',
    'e',
    (b) => b.ledger.splice(b.ledger.indexOf(charge(b, 'confirmed')), 1),
    /payment payment-confirmed: is captured; the provider knows of no such charge/,
  ],
  [
    'a captured payment is not paid at the provider',
    'e',
    (b) => set(charge(b, 'confirmed'), { status: 'requires_payment_method' }),
    /payment payment-confirmed: is captured; the provider knows of no such charge/,
  ],
  [
    'two payments were captured by one charge',
    'e',
    (b) => {
      b.ledger.splice(b.ledger.indexOf(charge(b, 'confirmed')), 1);
      set(payment(b, 'confirmed'), { intentId: 'pi-delivered' });
    },
    /payment payment-delivered: is paid by the same charge as payment payment-confirmed/,
  ],
  [
    'a captured payment names no charge',
    'e',
    (b) => set(payment(b, 'confirmed'), { intentId: null }),
    /charge pi-confirmed: the provider has taken the money; no payment of ours says so/,
  ],
  [
    'the provider took another amount',
    'e',
    (b) => set(charge(b, 'confirmed'), { amount: 1 }),
    /is of 13.00 USD; the provider has taken 0.01 USD/,
  ],
  [
    'the provider took another currency',
    'e',
    (b) => set(charge(b, 'confirmed'), { currency: 'EUR' }),
    /the provider has taken 13.00 EUR/,
  ],
  [
    'the provider took money for a payment that failed here',
    'e',
    (b) => set(charge(b, 'declined'), { status: 'succeeded' }),
    /charge pi-declined: the provider has taken the money/,
  ],
  [
    'the provider took money that nobody here knows of',
    'e',
    (b) => set(charge(b, 'canceled'), { status: 'succeeded' }),
    /charge pi-canceled: the provider has taken the money/,
  ],
  [
    'a refund is unknown to the provider',
    'e',
    (b) => charge(b, 'shipped').refunds.shift(),
    /refund r1: has succeeded; the provider knows of no such refund/,
  ],
  [
    'a refund was made of another charge',
    'e',
    (b) => charge(b, 'confirmed').refunds.push(the(charge(b, 'shipped').refunds.shift())),
    /refund r1: has succeeded; the provider knows of no such refund of that charge/,
  ],
  [
    'a refund was made twice',
    'e',
    (b) => charge(b, 'shipped').refunds.push({ ...the(charge(b, 'shipped').refunds[0]), refundId: 're-again' }),
    /refund r1: the provider has made it more than once/,
  ],
  [
    'the provider gave another amount back',
    'e',
    (b) => set(the(charge(b, 'shipped').refunds[0]), { amount: 99 }),
    /refund r1: is of 1.00 USD; the provider has given back 0.99 USD/,
  ],
  [
    'the provider gave money back that nobody here knows of',
    'e',
    (b) => charge(b, 'confirmed').refunds.push({ refundId: 're-9', amount: 1, status: 'succeeded', metadata: {} }),
    /refund re-9: the provider has given the money back; no refund of ours says so/,
  ],
  [
    'a refund that succeeded here has failed at the provider',
    'e',
    (b) => set(the(charge(b, 'shipped').refunds[0]), { status: 'failed' }),
    /refund r1: has succeeded; the provider knows of no such refund of that charge/,
  ],
  [
    'the provider made a refund that failed here',
    'e',
    (b) => {
      const [first] = payment(b, 'shipped').refunds;
      set(the(first), { status: 'failed' });
    },
    /refund re-r1: the provider has given the money back; no refund of ours says so/,
  ],

  [
    'more was received than is there',
    'f',
    (b) => b.products.received.set('mug', 20),
    /received 20 units; 10 are available, 0 held, 9 sold/,
  ],
  [
    'units are held',
    'f',
    (b) => set(product(b, 'mug'), { held: 1, available: 9 }),
    /product mug: 1 units are still held/,
  ],
  [
    'units are held otherwise than the reservations say',
    'f',
    (b) => set(product(b, 'mug'), { held: 1, available: 9 }),
    /1 units are held; by the reservations it is 0/,
  ],
  [
    'units are sold otherwise than the reservations say',
    'f',
    (b) => set(product(b, 'mug'), { sold: 8, available: 11 }),
    /8 units are sold; by the reservations it is 9/,
  ],
  [
    'units are sold otherwise than the orders say',
    'f',
    (b) => set(product(b, 'mug'), { sold: 8, available: 11 }),
    /8 units are sold; by the orders it is 9/,
  ],
  [
    'less than nothing is available',
    'f',
    (b) => {
      set(product(b, 'mug'), { available: -1 });
      b.products.received.set('mug', 8);
    },
    /-1 units are available/,
  ],
  ['less than nothing is held', 'f', (b) => set(product(b, 'mug'), { held: -1, available: 11 }), /-1 units are held$/],
  [
    'what was ordered is not in the catalogue',
    'f',
    (b) => {
      b.products.products.delete('mug');
      b.products.received.delete('mug');
      b.orders.priceList.splice(b.orders.priceList.indexOf(priceOf(b, 'mug')), 1);
    },
    /product mug: is in the orders, but not in the catalogue/,
  ],
  [
    'units were received of what is not in the catalogue',
    'f',
    (b) => b.products.received.set('ghost', 1),
    /product ghost: is in the stock journal, but not in the catalogue/,
  ],

  [
    'a payment has no order',
    'g',
    (b) => b.payments.payments.push({ ...payment(b, 'rejected'), id: 'p9', orderId: 'ghost' }),
    /payment p9: its order ghost does not exist/,
  ],
  [
    'a reservation has no order',
    'g',
    (b) => b.products.reservations.set('ghost', { orderId: 'ghost', state: 'cancelled', items: [] }),
    /reservation ghost: its order does not exist/,
  ],
  [
    'an order was placed without a key',
    'g',
    (b) => b.orders.keys.pop(),
    /order rejected: of user ann: no key leads to it/,
  ],
  [
    'a key has no order',
    'g',
    (b) => b.orders.keys.push({ userId: 'ann', key: 'k9', orderId: 'ghost' }),
    /key k9: of user ann: its order ghost does not exist/,
  ],
  [
    "a key leads to somebody else's order",
    'g',
    (b) => set(the(b.orders.keys[0]), { userId: 'bob' }),
    /key key-confirmed: of user bob: its order confirmed is somebody else's/,
  ],
  [
    'two keys lead to one order',
    'g',
    (b) => set(the(b.orders.keys[0]), { orderId: 'shipped' }),
    /order shipped: was placed with two keys/,
  ],

  ['a mail is due', 'h', (b) => set(mailOf(b, 'shipped', 'order.shipped'), { status: 'due' }), /is due, not sent/],
  [
    'a mail is missing',
    'h',
    (b) => b.notifications.mails.shift(),
    /order confirmed, order.confirmed: happened once and was mailed about 0 times/,
  ],
  [
    'the mail about a refund is missing',
    'h',
    (b) => b.notifications.mails.splice(b.notifications.mails.indexOf(mailOf(b, 'shipped', 'payment.refunded')), 1),
    /order shipped, payment.refunded: happened 2 times and was mailed about once/,
  ],
  [
    'a mail was written twice',
    'h',
    (b) => b.notifications.mails.push({ ...mailOf(b, 'shipped', 'order.shipped'), id: 'm9' }),
    /order shipped, order.shipped: mail m9 is the second one about it/,
  ],
  [
    'one refund was mailed about twice, the other one not',
    'h',
    (b) => set(mailOf(b, 'shipped', 'payment.refunded'), { refundId: 'r2' }),
    /order shipped, payment.refunded: happened 2 times and was mailed about once/,
  ],
  [
    'a mail is about what has not happened',
    'h',
    (b) => set(mailOf(b, 'shipped', 'order.shipped'), { orderId: 'confirmed' }),
    /order confirmed, order.shipped: was mailed about once, but is not in the timeline/,
  ],

  ['a product is not in the price list', 'i', (b) => b.orders.priceList.shift(), /product kettle: is not in the price/],
  [
    'the price list has a product that does not exist',
    'i',
    (b) => b.orders.priceList.push({ ...priceOf(b, 'old'), productId: 'ghost' }),
    /product ghost: is in the price list, but not in the catalogue/,
  ],
  [
    'the price list has an old version',
    'i',
    (b) => set(priceOf(b, 'mug'), { version: 2 }),
    /is of version 3, in the price list of 2/,
  ],
  [
    'the price list has another name',
    'i',
    (b) => set(priceOf(b, 'mug'), { name: 'Cup' }),
    /is called "The mug", in the price list "Cup"/,
  ],
  [
    'the price list has another price',
    'i',
    (b) => set(priceOf(b, 'mug'), { price: 101 }),
    /costs 1.00 USD, in the price list 1.01 USD/,
  ],
  [
    'the price list has another currency',
    'i',
    (b) => set(priceOf(b, 'mug'), { currency: 'EUR' }),
    /in the price list 1.00 EUR/,
  ],
  ['the price list has no price', 'i', (b) => set(priceOf(b, 'mug'), { price: null }), /in the price list 0.00 USD/],
  [
    'the price list has not heard of a deletion',
    'i',
    (b) => set(priceOf(b, 'old'), { deleted: false }),
    /is deleted, but not in the price list/,
  ],
  [
    'the price list has a tombstone of another version',
    'i',
    (b) => set(priceOf(b, 'old'), { version: 4 }),
    /product old: is of version 3, in the price list of 4/,
  ],
  [
    'the price list has deleted what is for sale',
    'i',
    (b) => set(priceOf(b, 'mug'), { deleted: true }),
    /is deleted in the price list only/,
  ],
  [
    'a customer is not in the address book',
    'i',
    (b) => b.notifications.addressBook.pop(),
    /user ann: is not in the address book/,
  ],
  [
    'the address book has somebody who does not exist',
    'i',
    (b) => b.notifications.addressBook.push({ id: 'ghost', email: 'g@example.com', name: 'G', version: 1 }),
    /user ghost: is in the address book, but does not exist/,
  ],
  [
    'the address book has another e-mail address',
    'i',
    (b) => set(the(b.notifications.addressBook[0]), { email: 'eve@example.com' }),
    /user ann: has another email in/,
  ],
  [
    'the address book has another name',
    'i',
    (b) => set(the(b.notifications.addressBook[0]), { name: 'Eve' }),
    /user ann: has another name in/,
  ],
  [
    'the address book has another version',
    'i',
    (b) => set(the(b.notifications.addressBook[0]), { version: 1 }),
    /user ann: has another version in/,
  ],

  ...(['users', 'products', 'orders', 'payments', 'notifications'] as const).map(
    (service): Case => [
      `the outbox of ${service} is not empty`,
      'j',
      (b) => set(b[service], { outbox: 2 }),
      /2 events are not published/,
    ],
  ),
  ...['order-service.events', 'order-service.events.retry.60s', 'product-service.events.dead'].map(
    (name): Case => [
      `${name} is not empty`,
      'j',
      (b) => set(the(b.queues.find((queue) => queue.name === name)), { messages: 1 }),
      new RegExp(`queue ${name}: holds 1 messages`),
    ],
  ),
  [
    'the length of a queue is not known',
    'j',
    (b) => set(the(b.queues[0]) as { messages: number | undefined }, { messages: undefined } as object),
    /is not there, or the broker does not say how long it is/,
  ],
];

for (const [what, letters, change, says] of cases) {
  it(`judge: when ${what}, (${[...letters].join('), (')}) fails and nothing else`, () => {
    const books = soundBooks();
    change(books);
    const failed = failing(books);
    assert.equal(failed.map(({ id }) => id).join(''), letters, JSON.stringify(failed, null, 1));
    const told = failed.flatMap(({ findings }) => findings.map(({ id, problem }) => `${id}: ${problem}`));
    assert.ok(
      told.some((line) => says.test(line)),
      told.join('\n'),
    );
  });
}
