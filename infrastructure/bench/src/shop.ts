// Customers of a platform that is measured: they register, order, and learn from the database when their order is final, which costs the platform nothing.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Platform } from '@glasshouse/local/platform';
import pg from 'pg';

const PLENTY = 900_000;
const LOOK_EVERY_MS = 10;
const LONGEST_ORDER_MS = 60_000;
const address = { name: 'Alice', line1: '1 Main Street', city: 'Springfield', postalCode: '12345', country: 'US' };

export interface Placed {
  id: string;
  /** When the request was sent, and how long its answer took; in milliseconds, the first by the wall clock. */
  sentAt: number;
  answeredAfterMs: number;
}

export interface Shop {
  /** Places an order for one piece of some product. @throws where it is not answered with a 201 */
  place(customer: number): Promise<Placed>;
  /** Resolves when the order is confirmed. @throws where it ends otherwise, or not within a minute */
  confirmed(id: string): Promise<void>;
  /** When the orders were confirmed by their timelines, by the wall clock in milliseconds. */
  confirmationTimes(ids: readonly string[]): Promise<Map<string, number>>;
  customers: number;
  close(): Promise<void>;
}

interface Reply {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every call
  body: any;
}

export async function call(
  baseUrl: string,
  method: string,
  path: string,
  options: { token?: string; body?: unknown; key?: string } = {},
): Promise<Reply> {
  const { token, body, key } = options;
  const response = await fetch(baseUrl + path, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(key !== undefined && { 'idempotency-key': key }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

async function expect(status: number, what: string, answer: Promise<Reply>): Promise<Reply['body']> {
  const { status: actual, body } = await answer;
  if (actual !== status) throw new Error(`${what} was answered with ${actual}: ${JSON.stringify(body)}`);
  return body;
}

/** An administrator's connection to a service's database on the embedded server. */
export async function openDatabase({ admin }: Platform, name: string): Promise<pg.Client> {
  const url = new URL(admin.postgresUrl ?? '');
  url.pathname = name;
  const client = new pg.Client({ connectionString: url.href });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** @param customers how many register */
export async function openShop(platform: Platform, customers: number): Promise<Shop> {
  const { gatewayUrl } = platform;
  const logIn = async (email: string, password: string): Promise<string> =>
    (await expect(200, 'a login', call(gatewayUrl, 'POST', '/api/v1/auth/login', { body: { email, password } })))
      .accessToken;

  const register = async (index: number): Promise<string> => {
    const customer = { email: `customer-${index}-${randomUUID()}@example.com`, password: 'a-long-password' };
    const body = { ...customer, name: `Customer ${index}` };
    await expect(201, 'a registration', call(gatewayUrl, 'POST', '/api/v1/auth/register', { body }));
    return logIn(customer.email, customer.password);
  };
  const tokens: string[] = [];
  for (let index = 0; index < customers; index += 1) tokens.push(await register(index));

  const { items } = await expect(200, 'the catalogue', call(gatewayUrl, 'GET', '/api/v1/products?limit=24'));
  const products: string[] = items.map(({ id }: { id: string }) => id);
  const admin = await logIn('admin@example.com', 'admin-password');
  for (const id of products)
    await expect(
      200,
      'a delivery of stock',
      call(gatewayUrl, 'POST', `/api/v1/products/${id}/stock`, {
        token: admin,
        key: randomUUID(),
        body: { delta: PLENTY, reason: 'for many orders' },
      }),
    );

  const database = await openDatabase(platform, 'orders');
  const waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void; until: number }>();
  let isLooking = false;
  /** One look for all who wait. */
  const look = async () => {
    isLooking = true;
    while (waiting.size > 0) {
      await delay(LOOK_EVERY_MS);
      const { rows } = await database.query<{ id: string; status: string }>(
        `select id, status from orders where id = any($1) and status <> 'pending'`,
        [[...waiting.keys()]],
      );
      for (const { id, status } of rows) {
        const waiter = waiting.get(id);
        waiting.delete(id);
        if (status === 'confirmed') waiter?.resolve();
        else waiter?.reject(new Error(`order ${id} is ${status}`));
      }
      for (const [id, { until, reject }] of waiting) {
        if (performance.now() < until) continue;
        waiting.delete(id);
        reject(new Error(`order ${id} was not decided within ${LONGEST_ORDER_MS / 1000} s`));
      }
    }
    isLooking = false;
  };
  const fail = (error: Error) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    isLooking = false;
  };

  let turn = 0;
  return {
    customers,
    async place(customer) {
      const productId = products[turn++ % products.length] ?? '';
      const sentAt = Date.now();
      const startedAt = performance.now();
      const order = await expect(
        201,
        'an order',
        call(gatewayUrl, 'POST', '/api/v1/orders', {
          token: tokens[customer % tokens.length] ?? '',
          key: randomUUID(),
          body: { items: [{ productId, quantity: 1 }], shippingAddress: address, paymentMethod: 'pm_card_visa' },
        }),
      );
      return { id: order.id, sentAt, answeredAfterMs: performance.now() - startedAt };
    },
    confirmed(id) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiting.set(id, { resolve, reject, until: performance.now() + LONGEST_ORDER_MS });
      if (!isLooking) void look().catch(fail);
      return promise;
    },
    async confirmationTimes(ids) {
      const { rows } = await database.query<{ order_id: string; time: Date }>(
        `select order_id, time from timeline where order_id = any($1) and type = 'order.confirmed'`,
        [ids],
      );
      return new Map(rows.map(({ order_id, time }) => [order_id, time.getTime()]));
    },
    async close() {
      await database.end();
    },
  };
}
