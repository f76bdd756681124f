// The real service in process, on a database and a virtual host of its own, with a product-service that the tests play.
import { randomUUIDv7 } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CloudEvent, type EventDefinition, productUpdated } from '@glasshouse/shared/contracts';
import {
  createClient,
  createTestBroker,
  createTestKeys,
  createTestPostgres,
  type Reply,
  testEvent,
  waitFor,
} from '@glasshouse/shared/testing';
import { loadConfig } from '../src/config.ts';
import { createOrderService } from '../src/service.ts';

export interface Product {
  id: string;
  name: string;
  price: { amount: number; currency: string };
  version: number;
}

export const aProduct = (amount = 1999, currency = 'USD'): Product => ({
  id: randomUUIDv7(),
  name: 'Kettle',
  price: { amount, currency },
  version: 1,
});

/** What order-service may ask: a product by its id. */
async function startProductService() {
  const products = new Map<string, Product>();
  const asked: string[] = [];
  let isDown = false;
  let gate: Promise<void> = Promise.resolve();
  const server = createServer(async (request, response) => {
    const id = request.url?.split('/').at(-1) ?? '';
    asked.push(id);
    await gate;
    const product = products.get(id);
    response.setHeader('x-test-double', 'true');
    response.setHeader('content-type', 'application/json');
    if (isDown) response.writeHead(503).end('{}');
    else if (product === undefined) response.writeHead(404).end('{}');
    else response.end(JSON.stringify({ ...product, stock: 5 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** The ids that were asked for. */
    asked,
    sell: (...sold: Product[]) => {
      for (const product of sold) products.set(product.id, product);
    },
    setDown(down: boolean) {
      isDown = down;
    },
    /** Keeps every answer back until the returned function is called. */
    hold(): () => void {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export async function createWorld() {
  const [postgres, broker, keys, products] = await Promise.all([
    createTestPostgres(`${import.meta.dirname}/../migrations`),
    createTestBroker('order-service'),
    createTestKeys(),
    startProductService(),
  ]);
  const running = new Set<() => Promise<void>>();

  return {
    postgres,
    broker,
    keys,
    products,

    /** A copy of the service, ready for requests. */
    async start(settings: Record<string, string> = {}) {
      const { service, http } = createOrderService(
        loadConfig({
          NODE_ENV: 'test',
          LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
          PORT: '0',
          DATABASE_URL: postgres.url,
          RABBITMQ_URL: broker.url,
          USER_SERVICE_URL: keys.url,
          PRODUCT_SERVICE_URL: products.url,
          PRODUCT_SERVICE_TIMEOUT_MS: '1000',
          OUTBOX_SWEEP_INTERVAL_MS: '100',
          DEADLINE_SWEEP_INTERVAL_MS: '50',
          DEADLINE_SETTLE_MS: '0',
          ...settings,
        }),
      );
      await service.start();
      const stop = async () => {
        running.delete(stop);
        await service.stop();
      };
      running.add(stop);
      const url = `http://127.0.0.1:${http.port()}`;
      return { url, call: createClient(url), stop };
    },

    /** A customer with a token. */
    customer() {
      const userId = randomUUIDv7();
      return { userId, token: keys.token(userId) };
    },

    /** Tells an event to whoever listens, and returns it. */
    async tell<D extends EventDefinition>(definition: D, data: Parameters<D['of']>[0], causationId?: string) {
      const event = testEvent(definition, data, causationId);
      await broker.publish(event as CloudEvent);
      return event;
    },

    /** Puts products on the service's price list, by the events of product-service. */
    async list(...listed: Product[]) {
      for (const { id, ...rest } of listed)
        await this.tell(productUpdated, { productId: id, ...rest, description: '', category: 'kitchen' });
      await waitFor('the price list is up to date', async () => {
        const { rows } = await postgres.pool.query('select product_id, version from price_list');
        const known = new Map(rows.map((row) => [row.product_id, row.version]));
        return listed.every(({ id, version }) => known.get(id) === version);
      });
    },

    async stop() {
      await Promise.all([...running].map((stop) => stop()));
      await Promise.all([postgres.drop(), broker.drop(), keys.stop(), products.stop()]);
    },
  };
}

export type World = Awaited<ReturnType<typeof createWorld>>;
export type Running = Awaited<ReturnType<World['start']>>;

export const shippingAddress = {
  name: 'Ada Lovelace',
  line1: '1 Main St',
  city: 'Springfield',
  postalCode: '12345',
  country: 'US',
};

export const orderOf = (...products: Pick<Product, 'id'>[]) => ({
  items: products.map(({ id }) => ({ productId: id, quantity: 2 })),
  shippingAddress,
  paymentMethod: 'pm_card_visa',
});

/** POST /v1/orders, under a key of its own where none is given. */
export const post = (
  service: Running,
  token: string,
  body: unknown,
  key: string = randomUUIDv7(),
  headers: Record<string, string> = {},
): Promise<Reply> =>
  service.call('POST', '/v1/orders', { token, body, headers: { 'idempotency-key': key, ...headers } });

/** Every order in which `items` can stand. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  );
}
