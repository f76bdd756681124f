// A service is stopped (SIGSTOP) between two lines of its code: another copy carries on with what it held, everything ends right without it,
// and nothing changes when it wakes and does what it was about to do.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createSerialQueue } from '@glasshouse/shared/resilience';
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

const user = 'user-service';
const product = 'product-service';
const order = 'order-service';
const payment = 'payment-service';
const notification = 'notification-service';

type Row = readonly [
  service: CrashPoint['service'],
  between: CrashPoint['between'],
  what: string,
  story: CrashPoint['story'],
];

/**
 * Points at which copies are stopped at the same time, one after the other. Of the services through which an order comes to its point, none
 * may have a copy that is stopped already: it would hold some of the work, until the broker has missed it. So they go from the saga's end to its
 * beginning; what is asked for over HTTP comes last, for it goes to another copy.
 */
const rounds: readonly CrashPoint[][] = (
  [
    [
      [notification, 'commit and ack', 'order.confirmed', 'paid'],
      [order, 'commit and publish', 'order.confirmed', 'paid'],
      [payment, 'commit and ack', 'inventory.reserved', 'paid'],
      [product, 'commit and publish', 'inventory.reserved', 'paid'],
      [user, 'commit and publish', 'user.registered', 'by a new customer'],
      [payment, 'claim and call', 'refund', 'refunded by an admin'],
    ],
    [
      [notification, 'claim and call', 'mail', 'paid'],
      [order, 'commit and ack', 'payment.captured', 'paid'],
      [payment, 'claim and call', 'intent', 'paid'],
      [product, 'publish and mark', 'inventory.reserved', 'paid'],
      [user, 'publish and mark', 'user.registered', 'by a new customer'],
      [payment, 'call and record', 'refund', 'refunded by an admin'],
    ],
    [
      [notification, 'call and record', 'mail', 'paid'],
      [payment, 'call and record', 'intent', 'paid'],
      [product, 'commit and ack', 'order.created', 'paid'],
      [order, 'commit and publish', 'order.created', 'paid'],
      [payment, 'commit and publish', 'payment.refunded', 'refunded by an admin'],
    ],
    [
      [payment, 'claim and call', 'charge', 'cancelled before the charge'],
      [product, 'move and commit', 'held', 'paid'],
      [order, 'publish and mark', 'order.created', 'paid'],
      [payment, 'publish and mark', 'payment.refunded', 'refunded by an admin'],
    ],
    [[payment, 'call and record', 'charge', 'paid']],
  ] as const
).map((rows: readonly Row[]) => rows.map(([service, between, what, story]) => ({ service, between, what, story })));

/** One of each more than are stopped at once. */
const replicas = { [user]: 2, [product]: 2, [order]: 2, [payment]: 3, [notification]: 2 };

const halts = createHalts();
const purchases = new Map<CrashPoint, Purchase>();
let platform: Platform;
let cast: Cast;

before(async () => {
  const env = { ...halts.env, ...crashSettings, UPSTREAM_TIMEOUT_MS: '2000' };
  platform = await startTestPlatform({ portOffset: 4_650, replicas, env });
  cast = await createCast(platform);
  await Promise.all(rounds.flat().map(async (point) => purchases.set(point, await cast.prepare(point.story))));
});
after(async () => {
  await platform?.stop();
  halts.forget();
});

/** Resolves when the copy with this process answers again. */
async function waitUntilAwake(service: string, pid: number): Promise<void> {
  const nameOf = (copy: number) => (copy === 1 ? service : `${service}-${copy}`);
  const url = platform.urls[service]?.find((_, index) => platform.processes.get(nameOf(index + 1))?.pid() === pid);
  const isReady = async () => (await fetch(`${url}/ready`, { signal: AbortSignal.timeout(5_000) })).ok;
  await waitFor(`${service} is awake`, isReady, 60_000);
}

for (const [index, points] of rounds.entries())
  describe(`stopped and woken, round ${index + 1}`, { concurrency: points.length }, () => {
    const inTurn = createSerialQueue();
    for (const point of points)
      test(titleOf(point, 'is stopped'), async () => {
        const purchase = purchases.get(point);
        assert.ok(purchase);
        const { service, story } = point;
        const { pid, accepted } = await inTurn(() => cast.actUntilHalted(point, purchase, halts, 'SIGSTOP'));
        try {
          await accepted;
          await cast.goOn(story, purchase);
          await cast.waitForBooks(purchase, story, copiesAllowed(point));
        } finally {
          process.kill(pid, 'SIGCONT');
        }
        await waitUntilAwake(service, pid);
        await cast.waitForBooks(purchase, story, copiesAllowed(point));
      });
  });

test('after all of that: the auditor finds nothing, and every book still says the same', async () => {
  await cast.assertAuditIsClean();
  for (const [point, purchase] of purchases) await cast.assertBooks(purchase, point.story, copiesAllowed(point));
});
