// The real service in process, on a database and a virtual host of its own, and a look into its books.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import {
  type CloudEvent,
  type ItemQuantity,
  orderCancelled,
  orderConfirmed,
  orderCreated,
} from '@glasshouse/shared/contracts';
import { createDatabase } from '@glasshouse/shared/mongo';
import {
  createClient,
  createTestBroker,
  createTestKeys,
  createTestMongo,
  quietLogger,
  type Reply,
  testEvent,
  waitFor,
} from '@glasshouse/shared/testing';
import { loadConfig } from '../src/config.ts';
import { createCollections } from '../src/data/collections.ts';
import { createProductService } from '../src/service.ts';

/** What the tests look at in the documents of the service. */
export interface ProductBooks {
  _id: string;
  available: number;
  held: number;
  sold: number;
}
interface ReservationBooks {
  _id: string;
  state: string;
  userId?: string;
  items: ItemQuantity[];
}

export const aBody = (overrides: Record<string, unknown> = {}) => ({
  name: 'Enamel Kettle',
  description: 'Boils 1.7 litres.',
  category: 'kitchen',
  price: { amount: 4900, currency: 'USD' },
  ...overrides,
});

/** The events of one order, as order-service tells them. */
export function anOrder(items: ItemQuantity[], options: { orderId?: string; userId?: string; payInMs?: number } = {}) {
  const { orderId = randomUUIDv7(), userId = randomUUIDv7(), payInMs = 600_000 } = options;
  const unitPrice = { amount: 100, currency: 'USD' };
  const quantity = items.reduce((sum, item) => sum + item.quantity, 0);
  const priced = {
    orderId,
    userId,
    items: items.map((item) => ({ ...item, unitPrice })),
    total: { amount: 100 * quantity, currency: 'USD' },
  };
  const shippingAddress = { name: 'Ada', line1: '1 Main St', city: 'Springfield', postalCode: '12345', country: 'US' };
  const payBy = new Date(Date.now() + payInMs).toISOString();
  return {
    orderId,
    userId,
    items,
    created: () => testEvent(orderCreated, { ...priced, paymentMethod: 'pm_card_visa', shippingAddress, payBy }),
    confirmed: () => testEvent(orderConfirmed, priced),
    cancelled: () => testEvent(orderCancelled, { orderId, userId, cancelReason: 'customer' }),
  };
}

export async function createWorld() {
  const [mongo, broker, keys] = await Promise.all([
    createTestMongo(),
    createTestBroker('product-service'),
    createTestKeys(),
  ]);
  const database = createDatabase({ url: mongo.url, service: 'product-service', logger: quietLogger });
  await createCollections(database);
  await database.stop();
  const db = mongo.client.db();
  const products = db.collection<ProductBooks>('products');
  const reservations = db.collection<ReservationBooks>('reservations');
  const running = new Set<() => Promise<void>>();

  return {
    mongo,
    broker,
    keys,
    db,
    admin: keys.token(randomUUIDv7(), ['customer', 'admin']),

    /** A copy of the service, ready for requests. */
    async start(settings: Record<string, string> = {}) {
      const { service, http } = createProductService(
        loadConfig({
          NODE_ENV: 'test',
          LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
          PORT: '0',
          MONGO_URL: mongo.url,
          RABBITMQ_URL: broker.url,
          USER_SERVICE_URL: keys.url,
          OUTBOX_SWEEP_INTERVAL_MS: '100',
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

    /** Publishes events one after the other. */
    async tell(...events: CloudEvent[]) {
      for (const event of events) await broker.publish(event);
    },

    /** Resolves when each event has been handled. */
    async handled(...events: CloudEvent[]) {
      const ids = events.map((event) => event.id);
      await waitFor('the events are handled', async () => {
        const seen = await db.collection<{ _id: string }>('inbox').countDocuments({ _id: { $in: ids } });
        return seen === ids.length;
      });
    },

    /** Where the units of a product are. */
    async booksOf(productId: string) {
      const document = await products.findOne({ _id: productId });
      assert.ok(document);
      const { available, held, sold } = document;
      return { available, held, sold };
    },

    reservationOf: (orderId: string) => reservations.findOne({ _id: orderId }),

    /** Asserts the auditor's equation: what came in is available, held or sold, and the reservations say the same. */
    async assertBooksBalance() {
      const journal = await db.collection<{ productId: string; delta: number }>('stock_journal').find().toArray();
      const all = await reservations.find().toArray();
      const sumOf = (productId: string, state: string) =>
        all
          .filter((reservation) => reservation.state === state)
          .flatMap(({ items }) => items)
          .filter((item) => item.productId === productId)
          .reduce((sum, item) => sum + item.quantity, 0);
      for (const { _id: id, available, held, sold } of await products.find().toArray()) {
        const received = journal.filter(({ productId }) => productId === id).reduce((sum, { delta }) => sum + delta, 0);
        assert.equal(received, available + held + sold, `received of ${id}`);
        assert.deepEqual({ held, sold }, { held: sumOf(id, 'held'), sold: sumOf(id, 'sold') });
        assert.ok(Math.min(available, held, sold) >= 0);
      }
    },

    async stop() {
      await Promise.all([...running].map((stop) => stop()));
      await Promise.all([mongo.drop(), broker.drop(), keys.stop()]);
    },
  };
}

export type World = Awaited<ReturnType<typeof createWorld>>;
export type Running = Awaited<ReturnType<World['start']>>;

/** Adds a product, and returns it. */
export async function addProduct(world: World, service: Running, overrides: Record<string, unknown> = {}) {
  const { status, body } = await service.call('POST', '/v1/products', { token: world.admin, body: aBody(overrides) });
  assert.equal(status, 201, JSON.stringify(body));
  return body;
}

/** POST /v1/products/:id/stock, under a key of its own where none is given. */
export const changeStock = (
  world: World,
  service: Running,
  productId: string,
  body: unknown,
  key: string = randomUUIDv7(),
): Promise<Reply> =>
  service.call('POST', `/v1/products/${productId}/stock`, {
    token: world.admin,
    body,
    headers: { 'idempotency-key': key },
  });

/** Every distinct order in which `items` can stand; equal ones are not told apart. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return [...new Set(items)].flatMap((item) => {
    const index = items.indexOf(item);
    return permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]);
  });
}

export const problemOf = ({ status, body }: Reply) => ({ status, code: body.code });
