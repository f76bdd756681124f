// The real service in process, on a database and a virtual host of its own, with the payment simulator behind a proxy that can misbehave.
import { randomUUIDv7 } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSimulator } from '@glasshouse/payment-simulator';
import { createProvider, type LedgerCharge } from '@glasshouse/payment-simulator/client';
import { type CloudEvent, inventoryReserved, orderCancelled, orderCreated } from '@glasshouse/shared/contracts';
import {
  createClient,
  createTestBroker,
  createTestKeys,
  createTestPostgres,
  testEvent,
  waitFor,
} from '@glasshouse/shared/testing';
import { loadConfig } from '../src/config.ts';
import { createPaymentService } from '../src/service.ts';

const apiKey = 'sk_test_key';
/** Dozens of payments at once, on a machine that has other things to do. */
const SETTLED_WITHIN_MS = 60_000;

/** One call of the provider's API, such as `POST /v1/payment_intents/pi_1/confirm`. */
export interface ProviderCall {
  name: string;
  key: string | undefined;
  body: string;
}

/**
 * What becomes of a call: `pass`; a status that is answered without asking the provider, and stored under the key where it is 500; `disputed`: refused with 400, for good; `drop-answer`: carried out, and the connection
 * cut then; `refuse`: the connection cut at once. A promise is waited for first; `after` holds the answer back instead.
 */
type Behaviour = 'pass' | number | 'disputed' | 'drop-answer' | 'refuse';
export type Behave = (
  call: ProviderCall,
) => Behaviour | { wait?: Promise<unknown>; behaviour?: Behaviour; after?: Promise<unknown> };

/** Stands before the simulator; `behave` may be changed at any time. */
async function startProviderProxy(target: string) {
  const calls: ProviderCall[] = [];
  const proxy = { url: '', calls, behave: (() => 'pass') as Behave, stop: async () => {} };
  /** Stripe gives the answer of a key again, also a 500. */
  const spent = new Map<string, number>();
  const read = async (request: IncomingMessage) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    return body;
  };
  const server = createServer(async (request, response) => {
    const body = await read(request);
    const name = `${request.method} ${request.url?.split('?')[0]}`;
    const key = request.headers['idempotency-key']?.toString();
    const call = { name, key, body };
    calls.push(call);
    const decided = proxy.behave(call);
    const { wait, behaviour = 'pass', after } = typeof decided === 'object' ? decided : { behaviour: decided };
    await wait;
    const status = spent.get(key ?? '') ?? behaviour;
    if (status === 'refuse') return request.socket.destroy();
    if (status === 'disputed') {
      response.writeHead(400, { 'content-type': 'application/json' });
      const error = { type: 'invalid_request_error', code: 'charge_disputed', message: 'The charge is disputed.' };
      return response.end(JSON.stringify({ error }));
    }
    if (typeof status === 'number') {
      if (key !== undefined && status === 500) spent.set(key, status);
      response.writeHead(status, { 'content-type': 'application/json' });
      return response.end(
        JSON.stringify({ error: { type: status < 500 ? 'invalid_request_error' : 'api_error', message: 'odd' } }),
      );
    }
    const { authorization = '' } = request.headers;
    const answer = await fetch(target + request.url, {
      method: request.method ?? '',
      headers: {
        authorization,
        'content-type': 'application/x-www-form-urlencoded',
        ...(key !== undefined && { 'idempotency-key': key }),
      },
      ...(request.method === 'POST' && { body }),
    });
    const text = await answer.text();
    if (status === 'drop-answer') return request.socket.destroy();
    await after;
    const replayed = answer.headers.get('idempotent-replayed');
    return response
      .writeHead(answer.status, {
        'content-type': 'application/json',
        ...(replayed !== null && { 'idempotent-replayed': replayed }),
      })
      .end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  proxy.stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return proxy;
}

export interface PaymentRow {
  id: string;
  status: string;
  failure_code: string | null;
  intent_id: string | null;
  lease_token: string | null;
  cancel_requested: boolean;
}

export async function createWorld() {
  const folder = await mkdtemp(join(tmpdir(), 'payment-service-'));
  const simulatorServer = createSimulator({ apiKey, ledgerFile: join(folder, 'ledger.sqlite') });
  const [postgres, broker, keys] = await Promise.all([
    createTestPostgres(`${import.meta.dirname}/../migrations`),
    createTestBroker('payment-service'),
    createTestKeys(),
    simulatorServer.start(),
  ]);
  const simulator = createProvider(simulatorServer.url.replace('//', `//:${apiKey}@`));
  const provider = await startProviderProxy(simulatorServer.url);
  const running = new Set<() => Promise<void>>();

  const world = {
    postgres,
    broker,
    keys,
    provider,
    /** The provider behind the proxy: its moods, its books. */
    simulator,

    /** A copy of the service, ready for requests. */
    async start(settings: Record<string, string> = {}) {
      const { service, http } = createPaymentService(
        loadConfig({
          NODE_ENV: 'test',
          LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
          PORT: '0',
          DATABASE_URL: postgres.url,
          RABBITMQ_URL: broker.url,
          USER_SERVICE_URL: keys.url,
          STRIPE_API_KEY: apiKey,
          STRIPE_API_URL: provider.url,
          OUTBOX_SWEEP_INTERVAL_MS: '100',
          PAYMENT_SWEEP_INTERVAL_MS: '50',
          ...settings,
        }),
      );
      await service.start();
      const stop = async () => {
        running.delete(stop);
        await service.stop();
      };
      running.add(stop);
      return { call: createClient(`http://127.0.0.1:${http.port()}`), stop };
    },

    /** An order, and the events that its life may bring. */
    anOrder(options: { paymentMethod?: string; amount?: number; payInS?: number } = {}) {
      const { paymentMethod = 'pm_card_visa', amount = 3998, payInS = 600 } = options;
      const orderId = randomUUIDv7();
      const userId = randomUUIDv7();
      const items = [{ productId: randomUUIDv7(), quantity: 2 }];
      const created = testEvent(orderCreated, {
        orderId,
        userId,
        items: items.map((item) => ({ ...item, name: 'Kettle', unitPrice: { amount: amount / 2, currency: 'USD' } })),
        total: { amount, currency: 'USD' },
        paymentMethod,
        shippingAddress: { name: 'Ada', line1: '1 Main St', city: 'Springfield', postalCode: '12345', country: 'US' },
        payBy: new Date(Date.now() + payInS * 1000).toISOString(),
      });
      const reserved = testEvent(inventoryReserved, { orderId, items }, created.id);
      const cancelled = testEvent(orderCancelled, { orderId, userId, cancelReason: 'timeout' });
      return { orderId, userId, token: keys.token(userId), amount, created, reserved, cancelled };
    },

    async tell(...events: CloudEvent[]) {
      for (const event of events) await broker.publish(event);
    },

    async payment({ orderId }: { orderId: string }): Promise<PaymentRow | undefined> {
      return (await postgres.pool.query('select * from payments where order_id = $1', [orderId])).rows[0];
    },

    /** Waits until an order's payment has come to `status`, and no refund of it is open. */
    settled(order: { orderId: string }, status: string): Promise<PaymentRow> {
      return waitFor(
        `the payment is ${status} and no refund is due`,
        async () => {
          const { rows } = await postgres.pool.query(
            "select 1 from refunds join payments on payments.id = payment_id where order_id = $1 and refunds.status = 'due'",
            [order.orderId],
          );
          const payment = await world.payment(order);
          return payment?.status === status && rows.length === 0 && payment;
        },
        SETTLED_WITHIN_MS,
      );
    },

    /** What the provider has of an order, or of all. */
    async ledger(order?: { orderId: string }): Promise<LedgerCharge[]> {
      const charges = await simulator.ledger();
      return order === undefined ? charges : charges.filter(({ metadata }) => metadata.orderId === order.orderId);
    },

    /** The events that payment-service has told of an order. */
    told: ({ orderId }: { orderId: string }) =>
      broker.events.filter(({ source, subject }) => source === 'payment-service' && subject === orderId),

    /** Waits until the events that payment-service has told of an order are just these, in whatever order they came out. */
    async assertTold(order: { orderId: string }, ...types: string[]) {
      await waitFor(`${types.join(', ')} and nothing else is told`, async () => {
        const { rows } = await postgres.pool.query('select 1 from outbox');
        const told = world.told(order).map(({ type }) => type);
        return rows.length === 0 && told.sort().join() === [...types].sort().join();
      });
      return world.told(order);
    },

    /** Waits until another order has gone its whole way: whatever was to happen to those before it has. */
    async another(): Promise<void> {
      const order = world.anOrder();
      await world.tell(order.created, order.reserved);
      await world.settled(order, 'captured');
    },

    async stop() {
      await Promise.all([...running].map((stop) => stop()));
      await Promise.all([postgres.drop(), broker.drop(), keys.stop(), provider.stop()]);
      await simulatorServer.stop();
      await rm(folder, { recursive: true });
    },
  };
  return world;
}

export type World = Awaited<ReturnType<typeof createWorld>>;
export type TestOrder = ReturnType<World['anOrder']>;

/** Every order in which `items` can stand. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  );
}

/** Something to wait for, and the end of the waiting. */
export const gate = () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { wait: promise, open: () => resolve() };
};

/** Whether a call confirms an intent. */
export const isConfirm = ({ name }: ProviderCall) => name.endsWith('/confirm');
export const isCreate = ({ name }: ProviderCall) => name === 'POST /v1/payment_intents';
export const isRefund = ({ name }: ProviderCall) => name === 'POST /v1/refunds';
