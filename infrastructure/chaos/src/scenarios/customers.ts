// Nothing is broken, and yet it is hard: customers who hang up and ask again, and customers who all want the same.
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';

const ROUND_MS = 10_000;
/** How many rushes there are at once: one for so many of the orders that the run is to have, but not more than these. */
const ORDERS_FOR_A_RUSH = 20;
const MOST_RUSHES = 5;

const calm: Scenario = {
  name: 'calm',
  says: 'Nothing is broken: what all the others are held against.',
  allows: { serverErrors: false },
  round: () => delay(ROUND_MS),
};

const impatient: Scenario = {
  name: 'customers-impatient',
  says: 'Customers hang up after some milliseconds, over and over, and ask again with the same Idempotency-Key.',
  allows: { serverErrors: false },
  async round({ shopping, fault, tell }) {
    fault('customers hang up');
    shopping.hangUpAfter({ least: 5, most: 80 });
    await delay(ROUND_MS);
    shopping.hangUpAfter(undefined);
    tell('customers wait for answers');
    await delay(2_000);
  },
};

const rush: Scenario = {
  name: 'customers-rush',
  says: 'Thirty customers want the same product at the same moment, and there are five of it.',
  allows: { serverErrors: false },
  async round({ shopping, orders, fault }) {
    const length = Math.min(MOST_RUSHES, Math.ceil(orders / ORDERS_FOR_A_RUSH));
    fault(`thirty want the same product, ${length} times over`);
    await Promise.all(Array.from({ length }, () => shopping.rush({ stock: 5, orders: 30 })));
  },
};

export const customerScenarios = [calm, impatient, rush];
