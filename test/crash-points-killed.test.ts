// A service is killed (SIGKILL) between two lines of its code and started again: at every point, everything ends as if nothing had happened.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import type { Platform } from '../infrastructure/local/src/platform.ts';
import {
  type Cast,
  type CrashPoint,
  copiesAllowed,
  crashSettings,
  createCast,
  type Purchase,
  titleOf,
} from './support/crash-points.ts';
import { createHalts } from './support/halt-points.ts';
import { startTestPlatform } from './support/platform.ts';
import { createTurns } from './support/turns.ts';

const user = 'user-service';
const product = 'product-service';
const order = 'order-service';
const payment = 'payment-service';
const notification = 'notification-service';

/**
 * A row for each: the service, between which steps, of what, in which story, and through which other services the work gets there.
 * From the saga's end to its beginning, so that a service is gone when those before it don't need it any more.
 */
const points: readonly (CrashPoint & { via: readonly string[] })[] = (
  [
    [notification, 'commit and ack', 'order.confirmed', 'paid', [order, product, payment]],
    [notification, 'claim and call', 'mail', 'paid', [order, product, payment]],
    [notification, 'call and record', 'mail', 'paid', [order, product, payment]],

    [payment, 'commit and publish', 'payment.captured', 'paid', [order, product]],
    [payment, 'publish and mark', 'payment.captured', 'paid', [order, product]],
    [payment, 'commit and publish', 'payment.failed', 'declined', [order, product]],
    [payment, 'publish and mark', 'payment.failed', 'declined', [order, product]],
    [payment, 'commit and publish', 'payment.refunded', 'cancelled', [order]],
    [payment, 'publish and mark', 'payment.refunded', 'cancelled', [order]],
    [payment, 'commit and ack', 'inventory.reserved', 'paid', [order, product]],
    [payment, 'commit and ack', 'order.cancelled', 'cancelled', [order]],
    [payment, 'claim and call', 'intent', 'paid', [order, product]],
    [payment, 'call and record', 'intent', 'paid', [order, product]],
    [payment, 'claim and call', 'charge', 'paid', [order, product]],
    [payment, 'call and record', 'charge', 'paid', [order, product]],
    [payment, 'call and record', 'charge', 'declined', [order, product]],
    [payment, 'claim and call', 'charge', 'cancelled before the charge', [order, product]],
    [payment, 'call and record', 'charge', 'cancelled after the charge', [order, product]],
    [payment, 'claim and call', 'refund', 'cancelled', [order]],
    [payment, 'call and record', 'refund', 'cancelled', [order]],
    [payment, 'call and record', 'refund', 'refunded by an admin', []],

    [product, 'commit and publish', 'product.created', 'of a new product', []],
    [product, 'publish and mark', 'product.created', 'of a new product', []],
    [product, 'commit and publish', 'inventory.reserved', 'paid', [order]],
    [product, 'publish and mark', 'inventory.reserved', 'paid', [order]],
    [product, 'commit and publish', 'inventory.rejected', 'short', [order]],
    [product, 'publish and mark', 'inventory.rejected', 'short', [order]],
    [product, 'commit and publish', 'inventory.released', 'declined', [order, payment]],
    [product, 'publish and mark', 'inventory.released', 'cancelled', [order]],
    [product, 'commit and ack', 'order.created', 'paid', [order]],
    [product, 'commit and ack', 'order.confirmed', 'paid', [order, payment]],
    [product, 'commit and ack', 'order.cancelled', 'cancelled', [order]],
    [product, 'move and commit', 'held', 'paid', [order]],
    [product, 'move and commit', 'sold', 'paid', [order, payment]],
    [product, 'move and commit', 'available', 'cancelled', [order]],

    [order, 'commit and publish', 'order.created', 'paid', []],
    [order, 'publish and mark', 'order.created', 'paid', []],
    [order, 'commit and publish', 'order.confirmed', 'paid', [product, payment]],
    [order, 'publish and mark', 'order.confirmed', 'paid', [product, payment]],
    [order, 'commit and publish', 'order.cancelled', 'declined', [product, payment]],
    [order, 'publish and mark', 'order.cancelled', 'short', [product]],
    [order, 'commit and publish', 'order.cancelled', 'cancelled', []],
    [order, 'commit and ack', 'payment.captured', 'paid', [product, payment]],
    [order, 'commit and ack', 'inventory.rejected', 'short', [product]],

    [user, 'commit and publish', 'user.registered', 'by a new customer', []],
    [user, 'publish and mark', 'user.registered', 'by a new customer', []],
  ] as const
).map(([service, between, what, story, via]) => ({ service, between, what, story, via }));

const halts = createHalts();
const turns = createTurns();
const purchases = new Map<CrashPoint, Purchase>();
let platform: Platform;
let cast: Cast;

before(async () => {
  platform = await startTestPlatform({ portOffset: 4_200, env: { ...halts.env, ...crashSettings } });
  cast = await createCast(platform);
  await Promise.all(points.map(async (point) => purchases.set(point, await cast.prepare(point.story))));
});
after(async () => {
  await platform?.stop();
  halts.forget();
});

/** The service is killed there, and started again. Returns when the shop has accepted what the customer wants. */
async function killAt(point: (typeof points)[number], purchase: Purchase): Promise<void> {
  const { via, ...place } = point;
  const { service, story } = place;
  const process = platform.processes.get(service);
  assert.ok(process);
  const { accepted, isBack } = await turns.take([service, ...via], async () => {
    const halted = await cast.actUntilHalted(place, purchase, halts, 'SIGKILL');
    await waitFor(`${service} is gone`, () => process.pid() === undefined);
    return halted;
  });
  try {
    await cast.goOn(story, purchase);
  } finally {
    await process.start().finally(isBack);
  }
  await accepted;
}

/** They all begin at once, and their time runs while they wait for their turn. */
const timeout = 900_000;

const killAll = (some: readonly (typeof points)[number][]) => {
  for (const point of some)
    test(titleOf(point, 'is killed'), { timeout }, async () => {
      const purchase = purchases.get(point);
      assert.ok(purchase);
      await killAt(point, purchase);
      await cast.waitForBooks(purchase, point.story, copiesAllowed(point));
    });
};
const [ofMail, others] = [
  points.filter(({ service }) => service === notification),
  points.filter(({ service }) => service !== notification),
];

// Whatever mail it is just handing over when it is killed goes out again: so it is killed while there is no other.
describe('killed and started again, one at a time', { timeout }, () => killAll(ofMail));

describe('killed and started again', { concurrency: others.length, timeout }, () => killAll(others));

test('after all of that: the auditor finds nothing, and every book still says the same', async () => {
  await cast.assertAuditIsClean();
  for (const [point, purchase] of purchases) await cast.assertBooks(purchase, point.story, copiesAllowed(point));
});
