// The payment provider, PostgreSQL and MongoDB go away while orders flow, and come back before the orders' deadline: everything waits, and goes on.
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceName } from '@glasshouse/shared/contracts';
import { waitFor } from '@glasshouse/shared/testing';
import { type OutageWorld, startOutageWorld } from './support/outages.ts';
import type { Customer } from './support/shop.ts';

const PRICE = 1_000;
let world: OutageWorld;

before(async () => {
  world = await startOutageWorld({ portOffset: 1_500, env: { SAGA_TIMEOUT_S: '150' } });
});
after(async () => {
  await world?.stop();
});

/** Each order that was accepted, and no other, is confirmed and was paid for once. */
async function assertAllPaidOnce(customer: Customer, ids: string[]): Promise<void> {
  const outcomes = await world.outcomes(customer);
  assert.deepEqual(outcomes.map(({ id }) => id).sort(), ids.toSorted());
  for (const { id, ...outcome } of outcomes)
    assert.deepEqual(
      outcome,
      { status: 'confirmed', cancelReason: undefined, payment: 'captured', charges: 1, charged: PRICE, refunded: 0 },
      id,
    );
}

test('the payment provider is down for a minute with 200 orders waiting: all are charged within seconds when it is back, none was declined', async () => {
  const { productId, customer } = await world.open({ stock: 300 });
  const simulator = world.process('payment-simulator');
  await simulator.stop();
  const backAt = performance.now() + 60_000;
  const placed = await world.placeOrders(customer, productId, 200);
  await delay(backAt - performance.now());
  const payments = await waitFor('all are known', async () => {
    const statuses = await world.paymentStatuses(customer);
    return statuses.length === placed.length && statuses;
  });
  assert.deepEqual([payments.length, new Set(payments)], [200, new Set(['due'])]);

  await simulator.start();
  await world.allFinal(customer, 45_000);
  await assertAllPaidOnce(
    customer,
    placed.map(({ id }) => id),
  );
  await world.assertClean();
  assert.equal(await world.shop.stockOf(productId), 100);
});

/**
 * Takes a database away while orders come in and gives it back when its services have noticed.
 * @param repeated the type of an event that all of them hear, so that each surely has something to do meanwhile
 */
async function takeAway(
  t: TestContext,
  database: { down(): Promise<void>; up(): Promise<void> },
  services: readonly ServiceName[],
  repeated: string,
  whileDown: (load: ReturnType<OutageWorld['startLoad']>) => Promise<void> = async () => {},
): Promise<void> {
  const { productId, customer } = await world.open({ stock: 5_000 });
  const pids = () => services.map((service) => world.process(service).pid());
  const pidsBefore = pids();
  const load = world.startLoad(customer, productId);
  t.after(() => load.stop().catch(() => {}));
  await load.more(60);
  await waitFor('one is confirmed', () => world.hasOrders(customer, 'confirmed'), 60_000);

  await database.down();
  await world.broker.repeatLast(repeated);
  await world.broker.consumersAre(0, services);
  await whileDown(load);
  await database.up();
  await world.broker.consumersAre(1, services);
  await load.more(30);

  await load.stop();
  await world.allFinal(customer, 120_000);
  await assertAllPaidOnce(
    customer,
    load.placed.map(({ id }) => id),
  );
  await world.assertClean();
  assert.equal(await world.shop.stockOf(productId), 5_000 - load.placed.length);
  assert.deepEqual(pids(), pidsBefore, 'a pause, not a restart');
}

test('PostgreSQL is restarted under load: consumers pause and go on, every accepted order is paid for once, nothing is parked', async (t) => {
  const postgres = world.process('postgres');
  await takeAway(
    t,
    { down: postgres.stop, up: postgres.start },
    ['order-service', 'payment-service'],
    'inventory.reserved',
  );
});

test('MongoDB is killed under load: consumers pause and go on, the shop stays open, every accepted order is paid for once, nothing is parked', async (t) => {
  const mongo = world.process('mongo');
  await takeAway(
    t,
    { down: mongo.kill, up: mongo.start },
    ['product-service', 'notification-service'],
    'order.confirmed',
    (load) => load.more(30),
  );
});
