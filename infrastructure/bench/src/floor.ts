// The bare floor: the commits and deliveries of an order done by a loop, on the same servers, with no HTTP, validation or telemetry between them.
import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'amqplib';
import { MongoClient, MongoError } from 'mongodb';
import pg from 'pg';
import type { Queue, Step, Store } from './order-path.ts';

/** The servers, with an administrator's access. */
export interface Servers {
  postgresUrl: string;
  mongoUrl: string;
  rabbitmqUrl: string;
}

export interface Floor {
  /** Does the steps one after the other. @returns how long that took, in milliseconds */
  walk(steps: readonly Step[]): Promise<number>;
  stop(): Promise<void>;
}

/** As many as each service has. */
const POOL_SIZE = 20;
const PREFETCH = 20;
const EXCHANGE = 'bench.floor';
const queues: readonly Queue[] = ['order-service', 'payment-service', 'product-service', 'notification-service'];

/** A row, a document or a message of the size of an order. */
const order = {
  userId: randomUUIDv7(),
  status: 'pending',
  items: [
    { productId: randomUUIDv7(), name: 'Enamel Kettle', quantity: 2, unitPrice: { amount: 1999, currency: 'USD' } },
  ],
  total: { amount: 3998, currency: 'USD' },
  paymentMethod: 'pm_card_visa',
  shippingAddress: {
    name: 'Alice',
    line1: '1 Main Street',
    city: 'Springfield',
    postalCode: '12345',
    country: 'US',
  },
  payBy: '2026-01-05T10:02:00.000Z',
  correlationId: '4bf92f3577b34da6a3ce929d0e0e4736',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00',
};
const body = JSON.stringify(order);

export async function createFloor({ postgresUrl, mongoUrl, rabbitmqUrl }: Servers): Promise<Floor> {
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const [orders, payments, mongo, publish] = await Promise.all([
      openPostgres(postgresUrl, 'floor_orders', stops),
      openPostgres(postgresUrl, 'floor_payments', stops),
      openMongo(mongoUrl, stops),
      openBroker(rabbitmqUrl, stops),
    ]);
    const stores: Record<Store, Committer> = { orders, payments, ...mongo };
    const perform = (step: Step): Promise<void | (() => Promise<void>)> => {
      if (step.does === 'publish') return publish(step.to);
      return stores[step.on][step.does]();
    };
    return {
      async walk(steps) {
        const ends: (() => Promise<void>)[] = [];
        const startedAt = performance.now();
        for (const step of steps) {
          const end = await perform(step);
          if (end !== undefined) ends.push(end);
        }
        const ms = performance.now() - startedAt;
        for (const end of ends) await end();
        return ms;
      },
      stop: () => stopAll(stops),
    };
  } catch (error) {
    await stopAll(stops);
    throw error;
  }
}

async function stopAll(stops: readonly (() => Promise<unknown>)[]): Promise<void> {
  await Promise.allSettled(stops.map((stop) => stop()));
}

interface Committer {
  transaction(): Promise<void>;
  statement(): Promise<void>;
  /** @returns what ends the transaction */
  begin(): Promise<() => Promise<void>>;
}

/** The URL of a database, anew at each call: what an earlier floor left is dropped. */
async function makeDatabase(serverUrl: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(`drop database if exists ${name} with (force)`);
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  const url = new URL(serverUrl);
  url.pathname = name;
  return url.href;
}

async function openPostgres(serverUrl: string, name: string, stops: (() => Promise<unknown>)[]): Promise<Committer> {
  const pool = new pg.Pool({ connectionString: await makeDatabase(serverUrl, name), max: POOL_SIZE });
  pool.on('error', () => {});
  stops.push(() => pool.end());
  await pool.query(`
    create table facts (id uuid primary key, about uuid not null, kind text not null, body jsonb not null, at timestamptz not null);
    create index facts_by_subject on facts (about, id desc)`);
  const insert = (to: Pick<pg.Pool, 'query'>) =>
    to.query({
      // Kept prepared, as the services' are.
      name: 'a fact',
      text: 'insert into facts (id, about, kind, body, at) values ($1, $2, $3, $4, clock_timestamp())',
      values: [randomUUIDv7(), order.userId, 'fact', body],
    });
  const begin = async () => {
    const client = await pool.connect();
    await client.query('begin; select clock_timestamp() as now');
    return client;
  };
  return {
    async transaction() {
      const client = await begin();
      try {
        await insert(client);
        await client.query('commit');
      } finally {
        client.release();
      }
    },
    async statement() {
      await insert(pool);
    },
    async begin() {
      const client = await begin();
      return async () => {
        await insert(client);
        await client.query('commit');
        client.release();
      };
    },
  };
}

async function openMongo(
  url: string,
  stops: (() => Promise<unknown>)[],
): Promise<Record<'products' | 'notifications', Committer>> {
  const client = new MongoClient(url, {
    maxPoolSize: 2 * POOL_SIZE,
    writeConcern: { w: 'majority', journal: true },
    readConcern: { level: 'majority' },
  });
  stops.push(() => client.close());

  const open = async (name: string): Promise<Committer> => {
    const db = client.db(name);
    await db.dropDatabase();
    const facts = await db.createCollection<{ _id: string }>('facts');
    const fact = () => ({ _id: randomUUIDv7(), ...order, at: new Date() });
    const attempt = async () => {
      const session = client.startSession();
      try {
        session.startTransaction({
          readConcern: { level: 'snapshot' },
          writeConcern: { w: 'majority', journal: true },
        });
        await facts.insertOne(fact(), { session });
        await session.commitTransaction();
      } catch (error) {
        if (session.inTransaction()) await session.abortTransaction().catch(() => {});
        throw error;
      } finally {
        await session.endSession();
      }
    };
    const transaction = async () => {
      for (;;) {
        try {
          return await attempt();
        } catch (error) {
          if (!(error instanceof MongoError) || !error.hasErrorLabel('TransientTransactionError')) throw error;
          await delay(Math.random() * 5);
        }
      }
    };
    return {
      transaction,
      async statement() {
        await facts.insertOne(fact());
      },
      async begin() {
        throw new Error('no order ends on MongoDB');
      },
    };
  };
  const [products, notifications] = await Promise.all([open('floor_products'), open('floor_notifications')]);
  // As product-service has it: one after the other, for they would only meet.
  const inTurn = createTurns();
  return { products: { ...products, transaction: () => inTurn(products.transaction) }, notifications };
}

function createTurns(): (work: () => Promise<void>) => Promise<void> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };
}

/** @returns what publishes a message to these queues, and waits until it is confirmed and every consumer has it */
async function openBroker(
  url: string,
  stops: (() => Promise<unknown>)[],
): Promise<(to: readonly Queue[]) => Promise<void>> {
  const [publishing, consuming] = await Promise.all([connect(url, { noDelay: true }), connect(url, { noDelay: true })]);
  for (const connection of [publishing, consuming]) connection.on('error', () => {});
  stops.push(
    () => publishing.close(),
    () => consuming.close(),
  );
  const [out, incoming] = await Promise.all([publishing.createConfirmChannel(), consuming.createChannel()]);
  await out.assertExchange(EXCHANGE, 'topic', { durable: true });
  await incoming.prefetch(PREFETCH);
  const waiting = new Map<string, () => void>();
  for (const queue of queues) {
    const name = `${EXCHANGE}.${queue}`;
    await out.assertQueue(name, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish', 'x-delivery-limit': 1000 },
    });
    // A message says in its key to whom it goes.
    await out.bindQueue(name, EXCHANGE, `#.${queue}.#`);
    await incoming.consume(name, (message) => {
      if (message === null) return;
      incoming.ack(message);
      waiting.get(`${queue} ${message.properties.messageId}`)?.();
    });
  }
  const content = Buffer.from(body);
  return async (to) => {
    const messageId = randomUUIDv7();
    const deliveries = to.map((queue) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.set(`${queue} ${messageId}`, resolve);
      return promise.then(() => void waiting.delete(`${queue} ${messageId}`));
    });
    const confirm = new Promise<void>((resolve, reject) => {
      out.publish(EXCHANGE, to.join('.'), content, { persistent: true, mandatory: true, messageId }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
    await Promise.all([confirm, ...deliveries]);
  };
}
