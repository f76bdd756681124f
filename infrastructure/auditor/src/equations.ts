// What must hold between the books of the services: pure functions from what was read to what is wrong.
// Letters as in the README, where each is written out.
import type { ItemQuantity } from '@glasshouse/shared/contracts';
import { formatMoney } from './money.ts';
import type { LedgerCharge } from './read/ledger.ts';
import type { Order } from './read/orders.ts';
import type { Payment } from './read/payments.ts';
import type { AuditData } from './read/sources.ts';

export interface Finding {
  /** What it is about: an order's id, a payment's, a product's, a queue's name … */
  id: string;
  problem: string;
}

export interface EquationResult {
  id: string;
  /** What holds, in a sentence for everybody. */
  says: string;
  ok: boolean;
  checked: number;
  /** What was counted. */
  unit: string;
  findings: Finding[];
}

/** Tells what is wrong with the thing of that id. */
type Note = (id: string, problem: string) => void;

interface Equation {
  id: string;
  says: string;
  unit: string;
  /** @returns how many things it has looked at */
  check(data: AuditData, note: Note): number;
}

const equations: readonly Equation[] = [
  { id: 'a', says: 'Every order has been decided; none is pending.', unit: 'orders', check: ordersAreDecided },
  {
    id: 'b',
    says: 'Each order costs what its items cost; the same sum is to be paid, and the same items are set aside.',
    unit: 'orders',
    check: orderIsTheSameEverywhere,
  },
  {
    id: 'c',
    says: 'Confirmed, shipped and delivered orders are paid in full, and their items are sold; only an admin gave money back.',
    unit: 'orders',
    check: standingOrdersArePaidAndSold,
  },
  {
    id: 'd',
    says: 'Cancelled orders have all their money back, and hold no items.',
    unit: 'orders',
    check: cancelledOrdersAreUndone,
  },
  {
    id: 'e',
    says: "Every charge and refund is finished, and the payment provider's books say the same as ours.",
    unit: 'charges and refunds',
    check: moneyAgreesWithProvider,
  },
  {
    id: 'f',
    says: 'No item is lost or sold twice: what was received of each product is in stock or sold.',
    unit: 'products',
    check: stockAddsUp,
  },
  {
    id: 'g',
    says: 'Every payment and every reservation has its order, and one request made one order.',
    unit: 'payments, reservations and requests',
    check: everythingHasItsOrder,
  },
  {
    id: 'h',
    says: 'Customers got one mail about each thing that they should hear of.',
    unit: 'events',
    check: oneMailForEachEvent,
  },
  {
    id: 'i',
    says: 'The copies of the catalogue and of the customers are like the originals.',
    unit: 'products and customers',
    check: copiesEqualOriginals,
  },
  {
    id: 'j',
    says: 'No message waits anywhere, and none was given up.',
    unit: 'queues and outboxes',
    check: nothingIsLeftOver,
  },
];

/** Judges all equations, (a) to (j). */
export function judge(data: AuditData): EquationResult[] {
  return equations.map(({ id, says, unit, check }) => {
    const findings: Finding[] = [];
    const checked = check(data, (about, problem) => findings.push({ id: about, problem }));
    return { id, says, ok: findings.length === 0, checked, unit, findings };
  });
}

const isStanding = ({ status }: Order) => status === 'confirmed' || status === 'shipped' || status === 'delivered';

const itemsKey = (items: readonly ItemQuantity[]) =>
  items
    .map(({ productId, quantity }) => `${quantity} × ${productId}`)
    .toSorted()
    .join(', ');

const paymentsByOrder = ({ payments }: AuditData) =>
  new Map(payments.payments.map((payment) => [payment.orderId, payment]));

/** What was taken for a payment, and what was given back, in minor units. */
function flowOf(payment: Payment | undefined): { captured: number; refunded: number } {
  if (payment === undefined) return { captured: 0, refunded: 0 };
  const refunded = payment.refunds.reduce(
    (sum, refund) => (refund.status === 'succeeded' ? sum + refund.amount : sum),
    0,
  );
  return { captured: payment.status === 'captured' ? (payment.amount ?? 0) : 0, refunded };
}

function ordersAreDecided({ orders }: AuditData, note: Note): number {
  for (const order of orders.orders.values()) if (order.status === 'pending') note(`order ${order.id}`, 'is pending');
  return orders.orders.size;
}

function orderIsTheSameEverywhere(data: AuditData, note: Note): number {
  const payments = paymentsByOrder(data);
  for (const { id, total, itemsTotal, items } of data.orders.orders.values()) {
    const about = `order ${id}`;
    const cost = formatMoney(total.amount, total.currency);
    if (total.amount !== itemsTotal) note(about, `costs ${cost}, its items ${formatMoney(itemsTotal, total.currency)}`);

    const { amount, currency } = payments.get(id) ?? {};
    if (!payments.has(id)) note(about, 'has no payment');
    else if (amount == null || currency == null) note(about, 'has a payment without an amount');
    else if (amount !== total.amount || currency !== total.currency)
      note(about, `costs ${cost}, its payment is of ${formatMoney(amount, currency)}`);

    const reservation = data.products.reservations.get(id);
    if (reservation === undefined) note(about, 'has no reservation');
    else if (itemsKey(reservation.items) !== itemsKey(items))
      note(about, `is for ${itemsKey(items)}; its reservation is for ${itemsKey(reservation.items) || 'nothing'}`);
  }
  return data.orders.orders.size;
}

function standingOrdersArePaidAndSold(data: AuditData, note: Note): number {
  const payments = paymentsByOrder(data);
  const standing = [...data.orders.orders.values()].filter(isStanding);
  for (const { id, status, total } of standing) {
    const about = `order ${id}`;
    const payment = payments.get(id);
    const { captured, refunded } = flowOf(payment);
    const currency = payment?.currency ?? total.currency;
    const paid = formatMoney(captured, currency);
    if (captured !== total.amount || currency !== total.currency)
      note(about, `is ${status} and costs ${formatMoney(total.amount, total.currency)}; paid were ${paid}`);
    if (refunded < 0 || refunded > captured)
      note(about, `is ${status}; paid were ${paid}, given back ${formatMoney(refunded, currency)}`);
    for (const refund of payment?.refunds ?? [])
      if (refund.cause !== 'admin') note(about, `is ${status}, but refund ${refund.id} was made for a cancellation`);
    const state = data.products.reservations.get(id)?.state ?? 'missing';
    if (state !== 'sold') note(about, `is ${status}, but its reservation is ${state}`);
  }
  return standing.length;
}

function cancelledOrdersAreUndone(data: AuditData, note: Note): number {
  const payments = paymentsByOrder(data);
  const cancelled = [...data.orders.orders.values()].filter(({ status }) => status === 'cancelled');
  for (const { id, total } of cancelled) {
    const about = `order ${id}`;
    const payment = payments.get(id);
    const { captured, refunded } = flowOf(payment);
    const currency = payment?.currency ?? total.currency;
    if (captured !== refunded)
      note(
        about,
        `is cancelled; paid were ${formatMoney(captured, currency)}, given back ${formatMoney(refunded, currency)}`,
      );
    const state = data.products.reservations.get(id)?.state;
    if (state === 'held' || state === 'sold') note(about, `is cancelled, but its items are ${state}`);
  }
  return cancelled.length;
}

/** What the provider says of a charge with which no money has moved, and none will. */
const untouched = new Set(['requires_payment_method', 'requires_confirmation', 'canceled']);

function moneyAgreesWithProvider({ payments: { payments }, ledger }: AuditData, note: Note): number {
  const charges = new Map(ledger.map((charge) => [charge.paymentIntentId, charge]));
  const capturedByIntent = new Map<string, Payment>();
  for (const payment of payments) {
    const about = `payment ${payment.id}`;
    if (payment.status === 'due' || payment.status === 'charging')
      note(about, `its charge is open (${payment.status})`);
    for (const refund of payment.refunds) if (refund.status === 'due') note(`refund ${refund.id}`, 'is open (due)');
    if (payment.status === 'captured') {
      checkCapture(payment, charges, note);
      const other = capturedByIntent.get(payment.intentId ?? '');
      if (other !== undefined) note(about, `is paid by the same charge as payment ${other.id}`);
      if (payment.intentId !== null) capturedByIntent.set(payment.intentId, payment);
    }
    checkRefunds(payment, charges, note);
  }

  // The other way round: whatever the provider has moved is in our books.
  const refundsById = new Map(payments.flatMap(({ refunds }) => refunds).map((refund) => [refund.id, refund]));
  for (const charge of ledger) {
    const about = `charge ${charge.paymentIntentId}`;
    if (charge.status === 'succeeded') {
      if (!capturedByIntent.has(charge.paymentIntentId))
        note(about, 'the provider has taken the money; no payment of ours says so');
    } else if (!untouched.has(charge.status)) note(about, `the provider has not finished it (${charge.status})`);
    for (const refund of charge.refunds) {
      const ours = refundsById.get(refund.metadata.refundId ?? '');
      if (refund.status === 'succeeded' && ours?.status !== 'succeeded')
        note(`refund ${refund.refundId}`, 'the provider has given the money back; no refund of ours says so');
      else if (refund.status === 'pending' || refund.status === 'requires_action')
        note(`refund ${refund.refundId}`, `the provider has not finished it (${refund.status})`);
    }
  }
  const moved = ledger.reduce((sum, { refunds }) => sum + 1 + refunds.length, 0);
  return payments.length + refundsById.size + moved;
}

function checkCapture(payment: Payment, charges: ReadonlyMap<string, LedgerCharge>, note: Note): void {
  const about = `payment ${payment.id}`;
  const { amount, currency } = payment;
  const charge = charges.get(payment.intentId ?? '');
  if (charge?.status !== 'succeeded') note(about, 'is captured; the provider knows of no such charge');
  else if (amount !== charge.amount || currency !== charge.currency)
    note(
      about,
      `is of ${formatMoney(amount ?? 0, currency ?? '')}; the provider has taken ${formatMoney(charge.amount, charge.currency)}`,
    );
}

function checkRefunds(payment: Payment, charges: ReadonlyMap<string, LedgerCharge>, note: Note): void {
  const theirs = charges.get(payment.intentId ?? '')?.refunds.filter(({ status }) => status === 'succeeded') ?? [];
  const inWords = (amount: number) => formatMoney(amount, payment.currency ?? '');
  for (const { id, amount, status } of payment.refunds) {
    if (status !== 'succeeded') continue;
    const about = `refund ${id}`;
    const [made, again] = theirs.filter(({ metadata }) => metadata.refundId === id);
    if (made === undefined) note(about, 'has succeeded; the provider knows of no such refund of that charge');
    else if (again !== undefined) note(about, 'the provider has made it more than once');
    else if (made.amount !== amount)
      note(about, `is of ${inWords(amount)}; the provider has given back ${inWords(made.amount)}`);
  }
}

function stockAddsUp({ products: { products, reservations, received }, orders }: AuditData, note: Note): number {
  const heldByReservation = new Map<string, number>();
  const soldByReservation = new Map<string, number>();
  for (const { state, items } of reservations.values()) {
    if (state === 'held') addUp(heldByReservation, items);
    if (state === 'sold') addUp(soldByReservation, items);
  }
  const soldByOrder = new Map<string, number>();
  for (const order of orders.orders.values()) if (isStanding(order)) addUp(soldByOrder, order.items);

  for (const { id, available, held, sold } of products.values()) {
    const about = `product ${id}`;
    const of = (units: ReadonlyMap<string, number>) => units.get(id) ?? 0;
    for (const [place, units] of Object.entries({ available, held, sold }))
      if (units < 0) note(about, `${units} units are ${place}`);
    if (of(received) !== available + held + sold)
      note(about, `received ${of(received)} units; ${available} are available, ${held} held, ${sold} sold`);
    if (held !== 0) note(about, `${held} units are still held`);
    if (held !== of(heldByReservation))
      note(about, `${held} units are held; by the reservations it is ${of(heldByReservation)}`);
    if (sold !== of(soldByReservation))
      note(about, `${sold} units are sold; by the reservations it is ${of(soldByReservation)}`);
    if (sold !== of(soldByOrder)) note(about, `${sold} units are sold; by the orders it is ${of(soldByOrder)}`);
  }
  const places = { 'the stock journal': received, 'the reservations': soldByReservation, 'the orders': soldByOrder };
  for (const [place, units] of Object.entries(places))
    for (const id of units.keys())
      if (!products.has(id)) note(`product ${id}`, `is in ${place}, but not in the catalogue`);
  return products.size;
}

function addUp(units: Map<string, number>, items: readonly ItemQuantity[]): void {
  for (const { productId, quantity } of items) units.set(productId, (units.get(productId) ?? 0) + quantity);
}

function everythingHasItsOrder({ orders: { orders, keys }, payments, products }: AuditData, note: Note): number {
  for (const { id, orderId } of payments.payments)
    if (!orders.has(orderId)) note(`payment ${id}`, `its order ${orderId} does not exist`);
  for (const orderId of products.reservations.keys())
    if (!orders.has(orderId)) note(`reservation ${orderId}`, 'its order does not exist');

  // Every order was placed with a key of its user, which is remembered with it for ever: an order without one was made by a repetition.
  const keyOf = new Map<string, string>();
  for (const { userId, key, orderId } of keys) {
    const order = orders.get(orderId);
    if (order === undefined) note(`key ${key}`, `of user ${userId}: its order ${orderId} does not exist`);
    else if (order.userId !== userId) note(`key ${key}`, `of user ${userId}: its order ${orderId} is somebody else's`);
    else if (keyOf.has(orderId)) note(`order ${orderId}`, `was placed with two keys: ${keyOf.get(orderId)} and ${key}`);
    keyOf.set(orderId, key);
  }
  for (const { id, userId } of orders.values())
    if (!keyOf.has(id)) note(`order ${id}`, `of user ${userId}: no key leads to it, so a repeated request has made it`);
  return payments.payments.length + products.reservations.size + keys.length;
}

function oneMailForEachEvent({ orders: { timeline }, notifications: { mails } }: AuditData, note: Note): number {
  const keyOf = (orderId: string, occasion: string) => `order ${orderId}, ${occasion}`;
  const sent = new Map<string, number>();
  const facts = new Set<string>();
  for (const { id, orderId, occasion, refundId, status } of mails) {
    const key = keyOf(orderId, occasion);
    if (status !== 'sent') {
      note(key, `mail ${id} is ${status}, not sent`);
      continue;
    }
    const fact = `${key} ${refundId}`;
    if (facts.has(fact)) note(key, `mail ${id} is the second one about it`);
    else sent.set(key, (sent.get(key) ?? 0) + 1);
    facts.add(fact);
  }
  let checked = 0;
  for (const { orderId, type, events } of timeline) {
    const key = keyOf(orderId, type);
    const mailed = sent.get(key) ?? 0;
    checked += events;
    if (mailed !== events) note(key, `happened ${times(events)} and was mailed about ${times(mailed)}`);
    sent.delete(key);
  }
  for (const [key, mailed] of sent) note(key, `was mailed about ${times(mailed)}, but is not in the timeline`);
  return checked;
}

const times = (count: number) => (count === 1 ? 'once' : `${count} times`);

function copiesEqualOriginals({ users, notifications, products: { products }, orders }: AuditData, note: Note): number {
  const priceList = new Map(orders.priceList.map((entry) => [entry.productId, entry]));
  for (const product of products.values()) {
    const about = `product ${product.id}`;
    const entry = priceList.get(product.id);
    if (entry === undefined) {
      note(about, 'is not in the price list');
      continue;
    }
    const { version, deleted, name, price, currency } = entry;
    if (version !== product.version) note(about, `is of version ${product.version}, in the price list of ${version}`);
    if (deleted !== product.deleted)
      note(about, product.deleted ? 'is deleted, but not in the price list' : 'is deleted in the price list only');
    // A tombstone has no name and price; the price list keeps the last ones that it knows.
    if (product.deleted || deleted) continue;
    if (name !== product.name) note(about, `is called "${product.name}", in the price list "${name}"`);
    if (price !== product.price.amount || currency !== product.price.currency)
      note(
        about,
        `costs ${formatMoney(product.price.amount, product.price.currency)}, in the price list ${formatMoney(price ?? 0, currency ?? '')}`,
      );
  }
  for (const productId of priceList.keys())
    if (!products.has(productId)) note(`product ${productId}`, 'is in the price list, but not in the catalogue');

  const addressBook = new Map(notifications.addressBook.map((entry) => [entry.id, entry]));
  const known = new Set<string>();
  for (const { id, email, name, version } of users.users) {
    known.add(id);
    const entry = addressBook.get(id);
    // No addresses here: what is printed may be passed on.
    const differing = Object.entries({ email, name, version }).filter(
      ([field, value]) => entry?.[field as 'email' | 'name' | 'version'] !== value,
    );
    if (entry === undefined) note(`user ${id}`, 'is not in the address book');
    else if (differing.length > 0)
      note(`user ${id}`, `has another ${differing.map(([field]) => field).join(', ')} in the address book`);
  }
  for (const { id } of notifications.addressBook)
    if (!known.has(id)) note(`user ${id}`, 'is in the address book, but does not exist');
  return products.size + users.users.length;
}

function nothingIsLeftOver(data: AuditData, note: Note): number {
  const outboxes = {
    'user-service': data.users.outbox,
    'product-service': data.products.outbox,
    'order-service': data.orders.outbox,
    'payment-service': data.payments.outbox,
    'notification-service': data.notifications.outbox,
  };
  for (const [service, rows] of Object.entries(outboxes))
    if (rows > 0) note(`outbox of ${service}`, `${rows} events are not published`);
  for (const { name, messages } of data.queues) {
    if (messages === undefined) note(`queue ${name}`, 'is not there, or the broker does not say how long it is');
    else if (messages > 0) note(`queue ${name}`, `holds ${messages} messages`);
  }
  return Object.keys(outboxes).length + data.queues.length;
}
