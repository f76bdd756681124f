// Waits until nothing is under way any more: only then do the books of different services have to agree.
import { setTimeout as delay } from 'node:timers/promises';
import { serviceNames } from '@glasshouse/shared/contracts';
import { queueOf, RETRY_DELAYS_S, retryQueueOf } from '@glasshouse/shared/event-bus';
import type { MongoSource } from './read/mongo.ts';
import type { PostgresSource } from './read/postgres.ts';
import type { Queue } from './read/queues.ts';
import type { Sources } from './read/sources.ts';

/** What was seen at one moment. */
export interface Look {
  /** When it was begun and ended, in milliseconds of this process's clock. */
  begunAt: number;
  endedAt: number;
  /** What is still under way, in words; empty where nothing is. */
  underWay: string[];
  /** Messages handled so far, by all services: another number means that something has happened. */
  handled: number;
}

export interface Quiet {
  reached: boolean;
  waitedS: number;
  /** The last look: where the system is not quiet, it says why. */
  look: Look;
}

const PAUSE_MS = 2_000;

/**
 * Quiet is what has stayed so from one look to another, 2 s later or more, while no service has handled a message.
 *
 * The broker's counts may be as old as `countsAgeMs` says. A look reads them first and the databases after, and the two looks that decide are
 * further apart than that: so the counts of the second were taken after the first had ended, at a moment before and after which, as the
 * databases show, nothing was due and nothing was handled.
 * @param until when to give up, as performance.now() tells the time
 */
export async function waitUntilQuiet(
  take: () => Promise<Look>,
  until: number,
  countsAgeMs: number,
  pauseMs = PAUSE_MS,
): Promise<Quiet> {
  const begunAt = performance.now();
  // A timer may fire within the millisecond before.
  const apartMs = Math.max(countsAgeMs, pauseMs - 1);
  let first: Look | undefined;
  for (;;) {
    const look = await take();
    const waitedS = Math.round((performance.now() - begunAt) / 1000);
    if (look.underWay.length > 0) first = undefined;
    else if (first === undefined || first.handled !== look.handled) first = look;
    else if (look.begunAt - first.endedAt > apartMs) return { reached: true, waitedS, look };
    if (performance.now() >= until) return { reached: false, waitedS, look };
    await delay(pauseMs);
  }
}

/** Counted from 5 minutes before the audit, lest a clock that differs a little from ours hides what is being handled now. */
export function createLook(sources: Sources): () => Promise<Look> {
  const since = new Date(Date.now() - 300_000);
  return async () => {
    const begunAt = performance.now();
    const messages = messagesUnderWay(await sources.queues());
    const services = await Promise.all([
      lookAtPostgres('user-service', sources.users, outboxOnly, noInbox, since),
      lookAtPostgres('order-service', sources.orders, orderRows, inbox, since),
      lookAtPostgres('payment-service', sources.payments, paymentRows, inbox, since),
      lookAtMongo('product-service', sources.products, productRows, since),
      lookAtMongo('notification-service', sources.notifications, mailRows, since),
    ]);
    return {
      begunAt,
      endedAt: performance.now(),
      underWay: [...services.flatMap((service) => service.underWay), ...messages],
      handled: services.reduce((sum, service) => sum + service.handled, 0),
    };
  };
}

const outboxOnly = { 'events to be published': 'select count(*) from outbox' };
const orderRows = {
  ...outboxOnly,
  'pending orders': "select count(*) from orders where status = 'pending'",
};
const paymentRows = {
  ...outboxOnly,
  'charges due or under way': "select count(*) from payments where status in ('due', 'charging')",
  'refunds due': "select count(*) from refunds where status = 'due'",
};
const inbox = 'select count(*) from inbox where handled_at > $1';
/** user-service hears of no events. */
const noInbox = 'select 0 where $1::timestamptz is not null';

async function lookAtPostgres(
  service: string,
  source: PostgresSource,
  counts: Record<string, string>,
  handledSince: string,
  since: Date,
) {
  const names = Object.keys(counts);
  const columns = Object.values(counts).map((count, index) => `(${count}) as c${index}`);
  const [row] = await source.rows<Record<string, number>>(
    `select ${columns.join(', ')}, (${handledSince})::bigint as handled`,
    [since],
  );
  const found = names.map((name, index) => [name, row?.[`c${index}`] ?? 0] as const);
  return { underWay: inWords(service, found), handled: row?.handled ?? 0 };
}

const outboxCollection = { 'events to be published': ['outbox', {}] } as const;
const productRows = outboxCollection;
const mailRows = {
  ...outboxCollection,
  'mails due or waiting': ['mails', { status: { $in: ['due', 'waiting'] } }],
} as const;

async function lookAtMongo(
  service: string,
  source: MongoSource,
  counts: Record<string, readonly [collection: string, filter: object]>,
  since: Date,
) {
  const found = await Promise.all(
    Object.entries(counts).map(
      async ([name, [collection, filter]]) => [name, await source.count(collection, filter)] as const,
    ),
  );
  return { underWay: inWords(service, found), handled: await source.count('inbox', { handledAt: { $gt: since } }) };
}

const inWords = (service: string, counts: (readonly [name: string, count: number])[]) =>
  counts.filter(([, count]) => count > 0).map(([name, count]) => `${service}: ${count} ${name}`);

const awaited = new Set(
  serviceNames.flatMap((service) => [
    queueOf(service),
    ...RETRY_DELAYS_S.map((seconds) => retryQueueOf(service, seconds)),
  ]),
);

/** What lies in main and retry queues. Dead letters wait for a person, not for time. */
export function messagesUnderWay(queues: readonly Queue[]): string[] {
  return queues
    .filter(({ name, messages }) => awaited.has(name) && messages !== 0)
    .map(({ name, messages }) => `${name}: ${messages ?? 'an unknown number of'} messages`);
}
