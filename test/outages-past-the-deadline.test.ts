// The payment provider, order-service and payment-service are away for longer than orders may stay pending: whoever has paid in time has
// bought, nobody else has paid.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { waitFor } from '@glasshouse/shared/testing';
import { type OutageWorld, type Outcome, type Placed, startOutageWorld } from './support/outages.ts';
import type { Customer } from './support/shop.ts';

const PRICE = 1_000;
const SAGA_TIMEOUT_S = 45;
/** For all orders to reach their deadline and be heard of, on a slow machine. */
const LONG_MS = 180_000;
let world: OutageWorld;

before(async () => {
  world = await startOutageWorld({
    portOffset: 1_950,
    env: {
      SAGA_TIMEOUT_S: String(SAGA_TIMEOUT_S),
      // There is no other copy of order-service that might hold a message.
      DEADLINE_SETTLE_MS: '2000',
    },
  });
});
after(async () => {
  await world?.stop();
});

type Ending = Omit<Outcome, 'id'>;
const bought: Ending = {
  status: 'confirmed',
  cancelReason: undefined,
  payment: 'captured',
  charges: 1,
  charged: PRICE,
  refunded: 0,
};
const paidBack: Ending = { ...bought, status: 'cancelled', cancelReason: 'timeout', refunded: PRICE };
const notPaid: Ending = { ...paidBack, payment: 'void', charges: 0, charged: 0, refunded: 0 };

/** Sorts the orders by what became of them; what became of none is an error. */
function sortOut<E extends string>(outcomes: Outcome[], endings: Record<E, Ending>): Record<E, string[]> {
  const names = Object.keys(endings) as E[];
  const sorted = Object.fromEntries(names.map((name) => [name, [] as string[]])) as Record<E, string[]>;
  for (const { id, ...outcome } of outcomes) {
    const name = names.find((candidate) => isDeepStrictEqual(endings[candidate], outcome));
    assert.ok(name !== undefined, `order ${id}: ${JSON.stringify(outcome)}`);
    sorted[name].push(id);
  }
  return sorted;
}

/** The latest deadline of these orders, in milliseconds of this machine's clock. */
const lastDeadline = (placed: Placed[]) =>
  Math.max(...placed.map(({ createdAt }) => Date.parse(createdAt))) + SAGA_TIMEOUT_S * 1000;

const someAreConfirmed = (customer: Customer) =>
  waitFor('some are confirmed', () => world.hasOrders(customer, 'confirmed', 20), 60_000);

test('the payment provider goes down while it charges, for longer than the deadline: what it had answered stands, of the rest nobody has paid', async () => {
  const { productId, customer } = await world.open({ stock: 1_000 });
  const placing = world.placeOrders(customer, productId, 200);
  await someAreConfirmed(customer);
  // Charges that are made, and nobody hears of it.
  await world.ledger.setMood({ mood: 'drop-before', call: 'retrieve' });
  const { id } = await world.ledger.setMood({ mood: 'drop-after', call: 'confirm' });
  const isLosing = async () => (await world.ledger.moods()).some((rule) => rule.id === id && rule.acted >= 5);
  await waitFor('answers are lost', isLosing, 60_000);
  const simulator = world.process('payment-simulator');
  await simulator.kill();
  await placing;
  await world.allFinal(customer, LONG_MS);
  await simulator.start();
  await world.allPaid(customer, 60_000);
  await world.assertClean();
  const endings = sortOut(await world.outcomes(customer), { bought, notPaid, paidBack });
  assert.ok(endings.bought.length >= 20, `${endings.bought.length} were bought`);
  assert.ok(endings.paidBack.length > 0, 'what was charged and not answered goes back');
  assert.ok(endings.notPaid.length >= 50, `${endings.notPaid.length} were never paid for`);
  assert.equal(await world.shop.stockOf(productId), 1_000 - endings.bought.length);
});

test('payment-service is down while 500 orders pass their deadline: when it is back, it charges nobody', async () => {
  const { productId, customer } = await world.open({ stock: 1_000 });
  const placing = world.placeOrders(customer, productId, 500);
  await someAreConfirmed(customer);
  const paymentService = world.process('payment-service');
  await paymentService.stop();
  await placing;
  await world.allFinal(customer, LONG_MS);
  await paymentService.start();
  await world.allPaid(customer, 60_000);
  await world.assertClean();
  const endings = sortOut(await world.outcomes(customer), { bought, notPaid });
  assert.ok(endings.notPaid.length >= 200, `only ${endings.notPaid.length} passed their deadline`);
  assert.equal(await world.shop.stockOf(productId), 1_000 - endings.bought.length);
});

test('order-service is down while 500 orders pass their deadline: when it is back, it hears first what was paid in time, and cancels none of that', async () => {
  const { productId, customer } = await world.open({ stock: 1_000 });
  const [simulator, orderService] = ['payment-simulator', 'order-service'].map(world.process);
  // Nothing is decided before order-service has gone.
  await simulator?.stop();
  const placed = await world.placeOrders(customer, productId, 500);
  await orderService?.kill();
  await simulator?.start();
  await delay(lastDeadline(placed) + 5_000 - Date.now());
  const wanted = new Set(placed.map(({ id }) => id));
  const paid = (await world.ledger.ledger())
    .filter(({ status, metadata }) => status === 'succeeded' && wanted.has(metadata.orderId ?? ''))
    .map(({ metadata }) => metadata.orderId);
  assert.ok(paid.length >= 20, `only ${paid.length} were paid in time`);

  await orderService?.start();
  await world.allFinal(customer, LONG_MS);
  await world.allPaid(customer, 60_000);
  await world.assertClean();
  const endings = sortOut(await world.outcomes(customer), { bought, notPaid });
  assert.deepEqual(endings.bought.sort(), paid.sort());
  assert.equal(endings.bought.length + endings.notPaid.length, 500);
  assert.equal(await world.shop.stockOf(productId), 1_000 - paid.length);
});
