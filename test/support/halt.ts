// Preloaded into the services of a test platform (`node --import`): their code has no hooks for tests, so the functions of the libraries between
// which a crash may come are wrapped instead, and the process halts before or after the real call where a test has armed that point.
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { CloudEvent } from '@glasshouse/shared/contracts';
import { EVENT_EXCHANGE } from '@glasshouse/shared/event-bus';
import { currentCause } from '@glasshouse/shared/telemetry';
import { reach, type Step } from './halt-points.ts';

const { HALT_DIR: dir = '' } = process.env;
const service = basename(process.cwd());
const require = createRequire(import.meta.url);

/** Replaces a method by `instead`, which gets the real one ready to be called, its arguments and its object. */
function replace<Args extends unknown[], Self, Result>(
  { prototype }: { prototype: object },
  name: string,
  instead: (real: () => Result, args: Args, self: Self) => Result,
): void {
  const methods = prototype as Record<string, (...args: Args) => Result>;
  const real = methods[name];
  if (real === undefined) throw new Error(`there is no ${name} to be wrapped`);
  methods[name] = function (this: Self, ...args) {
    return instead(() => real.apply(this, args), args, this);
  };
}

const atEvent = (between: Step, { type, correlationid }: CloudEvent) =>
  reach(dir, { service, between, what: type, requestId: correlationid });

/** Work without an event at hand: what it belongs to is known all the same. */
const atWork = (between: Step, what: string) =>
  reach(dir, { service, between, what, requestId: currentCause().correlationId });

/** By id: what is removed from an outbox is named by its id alone. */
const published = new Map<string, CloudEvent>();

function atRemoval(ids: readonly string[]): void {
  for (const id of ids) {
    const event = published.get(id);
    if (event !== undefined) atEvent('publish and mark', event);
    published.delete(id);
  }
}

async function wrapBroker(): Promise<void> {
  const { Channel, ConfirmChannel } = require(join(dirname(require.resolve('amqplib')), 'lib/channel_model.js'));
  replace(ConfirmChannel, 'publish', (publish, [exchange, , content]: [string, string, Buffer]) => {
    if (exchange === EVENT_EXCHANGE) {
      const event: CloudEvent = JSON.parse(content.toString());
      published.set(event.id, event);
      atEvent('commit and publish', event);
    }
    return publish();
  });
  replace(Channel, 'ack', (ack, [message]: [{ content: Buffer }]) => {
    atEvent('commit and ack', JSON.parse(message.content.toString()));
    return ack();
  });
}

async function wrapPostgres(): Promise<void> {
  const { default: pg } = await import('pg');
  type Statement = string | { text: string; values: [string[]] };
  replace(pg.Client, 'query', (query, [statement]: [Statement]) => {
    if (typeof statement === 'object' && statement.text.startsWith('delete from outbox'))
      atRemoval(statement.values[0]);
    return query();
  });
}

async function wrapMongo(): Promise<void> {
  const { Collection } = await import('mongodb');
  type Named = { collectionName: string };
  replace(Collection, 'deleteMany', (deleteMany, [filter]: [{ _id: { $in: string[] } }], self: Named) => {
    if (self.collectionName === 'outbox') atRemoval(filter._id.$in);
    return deleteMany();
  });
  type Move = { updateOne?: { update: { $inc: Record<string, number> } } };
  replace(Collection, 'bulkWrite', async (bulkWrite: () => Promise<unknown>, [moves]: [Move[]], self: Named) => {
    const result = await bulkWrite();
    const grows = Object.entries(moves[0]?.updateOne?.update.$inc ?? {}).find(([, change]) => change > 0);
    if (self.collectionName === 'products' && grows !== undefined) atWork('move and commit', grows[0]);
    return result;
  });
}

/** By method and path, the ids in it aside. */
const providerCalls: Record<string, string> = {
  'POST /v1/payment_intents': 'intent',
  'POST /v1/payment_intents/:id/confirm': 'charge',
  'POST /v1/refunds': 'refund',
};

async function wrapPaymentProvider(): Promise<void> {
  const { default: Stripe } = await import('stripe');
  type Answer = { toJSON(): Promise<unknown> };
  const httpClient = { prototype: Object.getPrototypeOf(Stripe.createNodeHttpClient()) };
  replace(
    httpClient,
    'makeRequest',
    async (makeRequest: () => Promise<Answer>, args: [host: string, port: number, path: string, method: string]) => {
      const [, , path, method] = args;
      const call = providerCalls[`${method} ${path.replace(/\/pi_\w+/, '/:id')}`];
      if (call === undefined) return makeRequest();
      atWork('claim and call', call);
      const answer = await makeRequest();
      const body = await answer.toJSON();
      atWork('call and record', call);
      return Object.assign(answer, { toJSON: async () => body });
    },
  );
}

async function wrapMail(): Promise<void> {
  const { default: Mailer } = await import('nodemailer/lib/mailer');
  replace(Mailer, 'sendMail', async (sendMail: () => Promise<unknown>) => {
    atWork('claim and call', 'mail');
    const answer = await sendMail();
    atWork('call and record', 'mail');
    return answer;
  });
}

/** What a service has. */
const wraps: Record<string, readonly (() => Promise<void>)[]> = {
  'user-service': [wrapBroker, wrapPostgres],
  'product-service': [wrapBroker, wrapMongo],
  'order-service': [wrapBroker, wrapPostgres],
  'payment-service': [wrapBroker, wrapPostgres, wrapPaymentProvider],
  'notification-service': [wrapBroker, wrapMail],
};
for (const wrap of wraps[service] ?? []) await wrap();
