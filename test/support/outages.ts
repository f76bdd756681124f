// What the tests of long outages need: orders placed by customers who try again, and what became of each in everybody's books.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createProvider } from '@glasshouse/payment-simulator/client';
import type { ServiceName } from '@glasshouse/shared/contracts';
import { EVENT_EXCHANGE, fullTopology, MAIN_KEY, queueOf } from '@glasshouse/shared/event-bus';
import { waitFor } from '@glasshouse/shared/testing';
import { type ConsumeMessage, connect } from 'amqplib';
import { loadConfig } from '../../infrastructure/auditor/src/config.ts';
import { audit } from '../../infrastructure/auditor/src/index.ts';
import { startTestPlatform } from './platform.ts';
import { type Customer, createShop } from './shop.ts';

export interface Placed {
  id: string;
  /** ISO 8601, by order-service's database. */
  createdAt: string;
}

/** What became of an order: at order-service, at payment-service, and in the provider's own ledger. */
export interface Outcome {
  id: string;
  status: string;
  cancelReason: string | undefined;
  /** The payment's status; undefined where payment-service has not heard of the order. */
  payment: string | undefined;
  /** How often money was taken, and how much was given back of it, in minor units. */
  charges: number;
  charged: number;
  refunded: number;
}

/** How often something is looked at that takes its time, in milliseconds. */
const LOOK_INTERVAL_MS = 250;
/** How long a customer asks again before giving the shop up, in milliseconds. */
const PATIENCE_MS = 90_000;
const CUSTOMERS = 12;
/** Fewer: what they order while a database is away has to be worked off afterwards. */
const LOAD_CUSTOMERS = 8;

/** A platform with one copy of each service, to take parts of it away. */
export async function startOutageWorld(options: { portOffset: number; env: Record<string, string> }) {
  const platform = await startTestPlatform(options);
  const shop = createShop(platform.gatewayUrl);
  const admin = await shop.admin();
  const broker = await tapBroker(platform.admin.rabbitmqUrl);
  const ledger = createProvider(platform.auditEnv.AUDIT_LEDGER_URL ?? '');

  /** A list that is paged, page by page. */
  // biome-ignore lint/suspicious/noExplicitAny: items of any list
  async function* pagesOf(path: string, { token }: Customer): AsyncGenerator<any[]> {
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const { status, body } = await shop.call('GET', `${path}?limit=100${page}`, { token });
      assert.equal(status, 200);
      yield body.items;
      cursor = body.nextCursor;
    }
  }
  const listAll = async (path: string, customer: Customer) => (await Array.fromAsync(pagesOf(path, customer))).flat();

  /** A customer who asks again, with the same key, for as long as the shop says that it can't answer now. */
  const placeOrder = async (customer: Customer, productId: string): Promise<Placed> => {
    const key = randomUUID();
    const givesUpAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const { status, body } = await shop.placeOrder(customer, { items: [{ productId, quantity: 1 }], key });
      if (status === 201) return body;
      const mayAskAgain = [429, 503, 504].includes(status) && performance.now() < givesUpAt;
      assert.ok(mayAskAgain, `an order is answered with ${status}: ${JSON.stringify(body)}`);
      await delay(LOOK_INTERVAL_MS);
    }
  };

  const world = {
    platform,
    shop,
    admin,
    broker,
    ledger,

    /** A process of the platform. */
    process(name: string) {
      const found = platform.processes.get(name);
      if (found === undefined) throw new Error(`there is no process ${name}`);
      return found;
    },

    /** A product of its own and a customer who has ordered nothing yet. */
    async open({ stock }: { stock: number }) {
      const [productId, customer] = await Promise.all([shop.createProduct(admin, stock), shop.register()]);
      return { productId, customer };
    },

    /** As many orders as are wanted, of one unit each, several at a time. */
    async placeOrders(customer: Customer, productId: string, count: number): Promise<Placed[]> {
      const placed: Placed[] = [];
      let begun = 0;
      const lane = async () => {
        while (begun++ < count) placed.push(await placeOrder(customer, productId));
      };
      await Promise.all(Array.from({ length: CUSTOMERS }, lane));
      return placed;
    },

    /** Orders that keep coming, until `stop`; whatever went wrong is thrown there. */
    startLoad(customer: Customer, productId: string) {
      const placed: Placed[] = [];
      let stopped = false;
      const lane = async () => {
        while (!stopped) {
          placed.push(await placeOrder(customer, productId));
          await delay(LOOK_INTERVAL_MS);
        }
      };
      const lanes = Promise.all(Array.from({ length: LOAD_CUSTOMERS }, lane));
      // Looked at in `stop`.
      lanes.catch(() => {});
      return {
        placed,
        /** Waits until so many more have been accepted. */
        async more(count: number) {
          const enough = placed.length + count;
          await Promise.race([
            waitFor(`${count} more orders are accepted`, () => placed.length >= enough, 60_000),
            lanes,
          ]);
        },
        async stop(): Promise<void> {
          stopped = true;
          await lanes;
        },
      };
    },

    /** Whether so many of the customer's orders, 100 at most, have this status. */
    async hasOrders({ token }: Customer, status: string, count = 1): Promise<boolean> {
      const reply = await shop.call('GET', `/api/v1/orders?status=${status}&limit=${count}`, { token });
      assert.equal(reply.status, 200);
      return reply.body.items.length === count;
    },

    /** Waits until none of the customer's orders is pending. */
    async allFinal(customer: Customer, timeoutMs: number): Promise<void> {
      await waitFor(
        'no order is pending',
        async () => {
          await delay(LOOK_INTERVAL_MS);
          return !(await world.hasOrders(customer, 'pending'));
        },
        timeoutMs,
      );
    },

    async paymentStatuses(customer: Customer): Promise<string[]> {
      return (await listAll('/api/v1/payments', customer)).map(({ status }) => status);
    },

    /** Waits until every payment of the customer is as it will stay, and every refund made. */
    async allPaid(customer: Customer, timeoutMs: number): Promise<void> {
      await waitFor(
        'no charge is due or under way',
        async () => {
          await delay(LOOK_INTERVAL_MS);
          for await (const payments of pagesOf('/api/v1/payments', customer))
            if (payments.some(({ status }) => status === 'due' || status === 'charging')) return false;
          return true;
        },
        timeoutMs,
      );
    },

    /** Every order of the customer, as everybody has it; the provider has to be up. */
    async outcomes(customer: Customer): Promise<Outcome[]> {
      const [orders, payments, charges] = await Promise.all([
        listAll('/api/v1/orders', customer),
        listAll('/api/v1/payments', customer),
        ledger.ledger(),
      ]);
      const paymentOf = new Map(payments.map((payment) => [payment.orderId, payment]));
      const chargesOf = Map.groupBy(
        charges.filter(({ status }) => status === 'succeeded'),
        ({ metadata }) => metadata.orderId,
      );
      const sum = (amounts: { amount: number }[]) => amounts.reduce((total, { amount }) => total + amount, 0);
      return orders.map(({ id, status, cancelReason }) => {
        const made = chargesOf.get(id) ?? [];
        return {
          id,
          status,
          cancelReason,
          payment: paymentOf.get(id)?.status,
          charges: made.length,
          charged: sum(made),
          refunded: sum(made.flatMap(({ refunds }) => refunds.filter((refund) => refund.status === 'succeeded'))),
        };
      });
    },

    /** No attempt was ever counted, nothing is parked, and every equation of the auditor holds once all is quiet. */
    async assertClean(): Promise<void> {
      const { equations } = await audit(loadConfig(platform.auditEnv));
      const broken = equations
        .filter((equation) => !equation.ok)
        .map(({ id, findings }) => `(${id}) ${JSON.stringify(findings.slice(0, 3))}`);
      assert.deepEqual(broken, []);
      assert.deepEqual(broker.counted, [], 'an outage is nobody’s fault');
    },

    async stop(): Promise<void> {
      await broker.close().catch(() => {});
      await platform.stop();
    },
  };
  return world;
}

/** The broker as its administrator sees it: who consumes, which attempts are counted, and what was told last. */
async function tapBroker(url: string) {
  const connection = await connect(url);
  connection.on('error', () => {});
  const channel = await connection.createChannel();
  /** Every message that was sent to a retry or parked, and why. */
  const counted: string[] = [];
  const last = new Map<string, ConsumeMessage>();

  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const { source, key } of fullTopology().bindings)
    if (source === EVENT_EXCHANGE || key !== MAIN_KEY) await channel.bindQueue(queue, source, key);
  await channel.consume(
    queue,
    (message) => {
      if (message === null) return;
      const { exchange, routingKey } = message.fields;
      if (exchange === EVENT_EXCHANGE) last.set(routingKey, message);
      else counted.push(`${exchange} ${routingKey}: ${message.properties.headers?.['x-reason']}`);
    },
    { noAck: true },
  );

  return {
    counted,
    /** How many consumers a service's queue has. */
    async consumersOf(service: ServiceName): Promise<number> {
      return (await channel.checkQueue(queueOf(service))).consumerCount;
    },
    /** Waits until the queues of these services have so many consumers each. */
    async consumersAre(count: number, services: readonly ServiceName[]): Promise<void> {
      for (const service of services)
        await waitFor(
          `${service} has ${count} consumers`,
          async () => {
            await delay(LOOK_INTERVAL_MS);
            return (await this.consumersOf(service)) === count;
          },
          60_000,
        );
    },
    /** Tells the last event of a type once more: consumers have to look it up, and so to ask their database. */
    async repeatLast(type: string): Promise<void> {
      const message = await waitFor(`${type} is told`, () => last.get(type));
      const { messageId, headers } = message.properties;
      channel.publish(EVENT_EXCHANGE, type, message.content, { persistent: true, messageId, headers });
    },
    close: () => connection.close(),
  };
}

export type OutageWorld = Awaited<ReturnType<typeof startOutageWorld>>;
