// How an order can end: one row for each way, with what people, the clock and the payment provider do on the way, and the state that every order of
// arrival has to lead to.

import type { MoodTerms } from '@glasshouse/payment-simulator/client';
import type { Listener } from './matrix-books.ts';

/** What has happened to an order so far. */
export interface Seen {
  /** Whether an event of that type was told by anybody. */
  told(type: string): boolean;
  /** Whether it has reached that service: an event's type, or a step's label. */
  heard(at: Listener, what: string): boolean;
  /** Whether its charge has begun and the provider has not said how it ended. */
  isCharging: boolean;
}

/** What a step can do to the order that it is about. */
export interface Hands {
  cancel(by: 'customer' | 'admin'): Promise<unknown>;
  ship(): Promise<unknown>;
  deliver(): Promise<unknown>;
  /** @param amount in minor units; all that is left where not given */
  refund(amount?: number): Promise<unknown>;
  waitForDeadline(): Promise<unknown>;
  /** Ends the moods that the provider is in towards this order, once it has shown each of them. */
  calmProvider(): Promise<unknown>;
}

/** What somebody or the clock does, once. It reaches one service, and there it may come before or after any event that waits. */
export interface Step {
  label: string;
  at: Listener;
  /** From when on it is possible. */
  when(seen: Seen): boolean;
  run(order: Hands): Promise<unknown>;
}

/** What every order of arrival leads to. Amounts in minor units. */
export interface Outcome {
  order: 'confirmed' | 'shipped' | 'delivered' | 'cancelled';
  cancelReason?: 'out_of_stock' | 'payment_declined' | 'customer' | 'timeout';
  payment: 'captured' | 'failed' | 'void';
  refunded?: number;
  reservation: 'sold' | 'released' | 'cancelled';
  /** Every event of the order, each told once. */
  told: readonly string[];
}

export interface Ending {
  name: string;
  /** How many orders of arrival there are at each service: every one in which what reaches it can reach it. */
  orders: { product: number; payment: number; order: number; notification: number };
  /** How many units of each product there are; `QUANTITY` of each are ordered. */
  stock?: readonly number[];
  paymentMethod?: string;
  /** How the provider behaves towards the order. */
  moods?: readonly MoodTerms[];
  steps?: readonly Step[];
  /** What makes it this ending and no other: whether `what` must not reach the service `at` yet. */
  mustWait?(what: string, at: Listener, seen: Seen): boolean;
  /** Whether the provider leaves the charge open for now. */
  leavesOpen?(seen: Seen): boolean;
  outcome: Outcome;
  /** What the auditor has to say to each order: the letter of the equation; then somebody mends it, and the auditor is content. */
  repair?: { finding: string; step: Step; outcome: Outcome };
}

export const QUANTITY = 2;
export const PRICE = 1_000;
const total = QUANTITY * PRICE;

// ---- what people, the clock and the provider do

type When = Step['when'];
const atOnce: When = () => true;
const confirmed: When = ({ told }) => told('order.confirmed');
const captured: When = ({ told }) => told('payment.captured');
const cancelled: When = ({ told }) => told('order.cancelled');
const charging: When = ({ isCharging }) => isCharging;

const cancels = (by: 'customer' | 'admin', when: When): Step => ({
  label: `the ${by} cancels`,
  at: 'order-service',
  when,
  run: (order) => order.cancel(by),
});
export const DEADLINE = 'the deadline';
const deadline = (when: When): Step => ({
  label: DEADLINE,
  at: 'order-service',
  when,
  run: (order) => order.waitForDeadline(),
});
const ships: Step = { label: 'an admin ships', at: 'order-service', when: confirmed, run: (order) => order.ship() };
const delivers: Step = {
  label: 'an admin delivers',
  at: 'order-service',
  when: ({ told }) => told('order.shipped'),
  run: (order) => order.deliver(),
};
const refunds = (when: When, amount?: number): Step => ({
  label: 'an admin refunds',
  at: 'payment-service',
  when,
  run: (order) => order.refund(amount),
});
const providerAnswers = (when: When): Step => ({
  label: 'the provider answers',
  at: 'payment-service',
  when,
  run: (order) => order.calmProvider(),
});

const undecided: MoodTerms = { mood: 'processing', call: 'confirm' };
const untilProviderAnswers = ({ heard }: Seen) => !heard('payment-service', 'the provider answers');

// ---- what is told on the way

const held = ['order.created', 'inventory.reserved'];
const paid = [...held, 'payment.captured', 'order.confirmed'];
const cancelledAndReleased = ['order.cancelled', 'inventory.released'];
/** The customer has cancelled what was held and not paid. */
const neverCharged: Outcome = {
  order: 'cancelled',
  cancelReason: 'customer',
  payment: 'void',
  reservation: 'released',
  told: [...held, ...cancelledAndReleased],
};

export const endings: readonly Ending[] = [
  {
    name: 'confirmed',
    orders: { product: 1, payment: 2, order: 2, notification: 1 },
    outcome: { order: 'confirmed', payment: 'captured', reservation: 'sold', told: paid },
  },
  {
    name: 'shipped and delivered',
    orders: { product: 1, payment: 2, order: 4, notification: 6 },
    steps: [ships, delivers],
    outcome: {
      order: 'delivered',
      payment: 'captured',
      reservation: 'sold',
      told: [...paid, 'order.shipped', 'order.delivered'],
    },
  },
  {
    name: 'out of stock: one item of two',
    orders: { product: 1, payment: 2, order: 1, notification: 1 },
    stock: [5, 1],
    outcome: {
      order: 'cancelled',
      cancelReason: 'out_of_stock',
      payment: 'void',
      reservation: 'cancelled',
      told: ['order.created', 'inventory.rejected', 'order.cancelled'],
    },
  },
  {
    name: 'payment declined',
    orders: { product: 1, payment: 2, order: 3, notification: 1 },
    paymentMethod: 'pm_card_chargeDeclined',
    outcome: {
      order: 'cancelled',
      cancelReason: 'payment_declined',
      payment: 'failed',
      reservation: 'released',
      told: [...held, 'payment.failed', ...cancelledAndReleased],
    },
  },
  {
    name: 'the charge is undecided at the provider until it answers: confirmed',
    orders: { product: 1, payment: 2, order: 2, notification: 1 },
    moods: [undecided],
    steps: [providerAnswers(charging)],
    leavesOpen: untilProviderAnswers,
    outcome: { order: 'confirmed', payment: 'captured', reservation: 'sold', told: paid },
  },
  {
    name: "the charge's answer is lost, and the provider is silent until it answers: confirmed",
    orders: { product: 1, payment: 2, order: 2, notification: 1 },
    moods: [
      { mood: 'drop-after', call: 'confirm' },
      { mood: 'drop-before', call: 'retrieve' },
    ],
    steps: [providerAnswers(charging)],
    leavesOpen: untilProviderAnswers,
    outcome: { order: 'confirmed', payment: 'captured', reservation: 'sold', told: paid },
  },
  {
    name: 'cancelled by the customer before the hold: nothing is ever held or charged',
    orders: { product: 1, payment: 2, order: 1, notification: 1 },
    steps: [cancels('customer', atOnce)],
    mustWait: (what, at, { heard }) =>
      at === 'product-service' && what === 'order.created' && !heard(at, 'order.cancelled'),
    outcome: {
      order: 'cancelled',
      cancelReason: 'customer',
      payment: 'void',
      reservation: 'cancelled',
      told: ['order.created', 'order.cancelled'],
    },
  },
  ...(
    [
      ['the customer', 'customer'],
      ['an admin', 'admin'],
    ] as const
  ).map(
    ([who, by]): Ending => ({
      name: `cancelled by ${who} between hold and charge: never charged`,
      orders: { product: 1, payment: 4, order: 3, notification: 1 },
      steps: [cancels(by, atOnce)],
      mustWait(what, at, { heard }) {
        if (at === 'product-service') return what === 'order.cancelled' && !heard(at, 'order.created');
        if (at !== 'payment-service' || what === 'order.cancelled') return false;
        const wouldCharge = heard(at, 'order.created') || heard(at, 'inventory.reserved');
        return wouldCharge && !heard(at, 'order.cancelled');
      },
      outcome: neverCharged,
    }),
  ),
  {
    name: 'cancelled by the customer during the charge, which did not go through: void',
    orders: { product: 1, payment: 2, order: 3, notification: 1 },
    moods: [{ mood: 'drop-before', call: 'confirm' }],
    steps: [cancels('customer', charging)],
    leavesOpen: ({ heard }) => !heard('payment-service', 'order.cancelled'),
    outcome: neverCharged,
  },
  {
    name: 'cancelled by the customer during the charge, which went through: refunded',
    orders: { product: 1, payment: 4, order: 30, notification: 2 },
    moods: [undecided],
    steps: [cancels('customer', charging), providerAnswers(cancelled)],
    leavesOpen: untilProviderAnswers,
    outcome: {
      order: 'cancelled',
      cancelReason: 'customer',
      payment: 'captured',
      refunded: total,
      reservation: 'released',
      told: [...held, ...cancelledAndReleased, 'payment.captured', 'payment.refunded'],
    },
  },
  {
    name: 'cancelled by the customer after the confirmation: refunded, and the stock is back',
    orders: { product: 2, payment: 2, order: 10, notification: 6 },
    steps: [cancels('customer', confirmed)],
    outcome: {
      order: 'cancelled',
      cancelReason: 'customer',
      payment: 'captured',
      refunded: total,
      reservation: 'released',
      told: [...paid, ...cancelledAndReleased, 'payment.refunded'],
    },
  },
  {
    name: 'cancelled after the confirmation, and the provider refuses the refund: an admin makes another',
    orders: { product: 2, payment: 2, order: 10, notification: 2 },
    moods: [{ mood: 'refusing', code: 'charge_disputed' }],
    steps: [cancels('customer', confirmed)],
    outcome: {
      order: 'cancelled',
      cancelReason: 'customer',
      payment: 'captured',
      reservation: 'released',
      told: [...paid, ...cancelledAndReleased, 'payment.refund-failed'],
    },
    repair: {
      finding: 'd',
      step: { ...refunds(atOnce), run: (order) => order.calmProvider().then(() => order.refund()) },
      outcome: {
        order: 'cancelled',
        cancelReason: 'customer',
        payment: 'captured',
        refunded: total,
        reservation: 'released',
        told: [...paid, ...cancelledAndReleased, 'payment.refund-failed', 'payment.refunded'],
      },
    },
  },
  {
    name: 'refunded in part by an admin: stays confirmed',
    orders: { product: 1, payment: 2, order: 6, notification: 2 },
    steps: [refunds(captured, total / 4)],
    outcome: {
      order: 'confirmed',
      payment: 'captured',
      refunded: total / 4,
      reservation: 'sold',
      told: [...paid, 'payment.refunded'],
    },
  },
  {
    name: 'refunded in full by an admin: stays confirmed',
    orders: { product: 1, payment: 2, order: 6, notification: 2 },
    steps: [refunds(captured)],
    outcome: {
      order: 'confirmed',
      payment: 'captured',
      refunded: total,
      reservation: 'sold',
      told: [...paid, 'payment.refunded'],
    },
  },
];

/** The same, with the deadline: orders have to wait for it. */
export const timeOuts: readonly Ending[] = [
  {
    name: 'timed out before the hold: product-service hears of it too late',
    orders: { product: 2, payment: 2, order: 1, notification: 1 },
    steps: [deadline(atOnce)],
    mustWait: (what, at, { told }) => at === 'product-service' && what === 'order.created' && !told('order.cancelled'),
    outcome: {
      order: 'cancelled',
      cancelReason: 'timeout',
      payment: 'void',
      reservation: 'cancelled',
      told: ['order.created', 'order.cancelled'],
    },
  },
  {
    name: 'timed out between hold and charge: never charged',
    orders: { product: 1, payment: 6, order: 3, notification: 1 },
    steps: [deadline(({ told }) => told('inventory.reserved'))],
    mustWait: (what, at, { told }) =>
      at === 'payment-service' && what === 'inventory.reserved' && !told('order.cancelled'),
    outcome: {
      order: 'cancelled',
      cancelReason: 'timeout',
      payment: 'void',
      reservation: 'released',
      told: [...held, ...cancelledAndReleased],
    },
  },
  {
    name: 'timed out during the charge, which went through late: refunded',
    orders: { product: 1, payment: 4, order: 30, notification: 2 },
    moods: [undecided],
    steps: [deadline(charging), providerAnswers(cancelled)],
    leavesOpen: untilProviderAnswers,
    outcome: {
      order: 'cancelled',
      cancelReason: 'timeout',
      payment: 'captured',
      refunded: total,
      reservation: 'released',
      told: [...held, ...cancelledAndReleased, 'payment.captured', 'payment.refunded'],
    },
  },
];
