// What end-to-end tests do as customers and admins, through the gateway alone.
import { randomUUID } from 'node:crypto';
import { createClient, type Reply, waitFor } from '@glasshouse/shared/testing';

export const address = {
  name: 'Alice',
  line1: '1 Main Street',
  city: 'Springfield',
  postalCode: '12345',
  country: 'US',
};

export type Client = ReturnType<typeof createClient>;

export interface Customer {
  token: string;
  email: string;
}

export interface OrderInput {
  items: { productId: string; quantity: number }[];
  paymentMethod?: string;
  key?: string;
  requestId?: string;
}

/**
 * @param gatewayUrl the gateway's base URL
 * @param options.call makes the requests, where a plain client will not do
 * @param options.pauseMs before an order is looked at again
 */
export function createShop(gatewayUrl: string, options: { call?: Client; pauseMs?: number } = {}) {
  const { call = createClient(gatewayUrl), pauseMs } = options;
  const expectStatus = (reply: Reply, status: number): Reply => {
    if (reply.status !== status)
      throw new Error(`expected ${status}, got ${reply.status}: ${JSON.stringify(reply.body)}`);
    return reply;
  };

  const logIn = async (email: string, password: string): Promise<Customer> => {
    const { body } = expectStatus(await call('POST', '/api/v1/auth/login', { body: { email, password } }), 200);
    return { token: body.accessToken, email };
  };

  return {
    call,
    logIn,
    alice: () => logIn('alice@example.com', 'alice-password'),
    admin: () => logIn('admin@example.com', 'admin-password'),
    async register(): Promise<Customer> {
      const email = `${randomUUID()}@example.com`;
      expectStatus(
        await call('POST', '/api/v1/auth/register', {
          body: { email, password: 'a-long-password', name: 'A Customer' },
        }),
        201,
      );
      return logIn(email, 'a-long-password');
    },
    /** A product of its own, with `stock` units, for one test. */
    async createProduct(admin: Customer, stock: number, price = 1_000): Promise<string> {
      const body = {
        name: `Test product ${randomUUID().slice(0, 8)}`,
        description: 'For a test.',
        category: 'kitchen',
        price: { amount: price, currency: 'USD' },
        stock,
      };
      const { body: product } = expectStatus(await call('POST', '/api/v1/products', { token: admin.token, body }), 201);
      return product.id;
    },
    async stockOf(productId: string): Promise<number> {
      return expectStatus(await call('GET', `/api/v1/products/${productId}`), 200).body.stock;
    },
    placeOrder(
      { token }: Customer,
      { items, paymentMethod = 'pm_card_visa', key = randomUUID(), requestId = randomUUID() }: OrderInput,
    ): Promise<Reply> {
      return call('POST', '/api/v1/orders', {
        token,
        headers: { 'idempotency-key': key, 'x-request-id': requestId },
        body: { items, paymentMethod, shippingAddress: address },
      });
    },
    async orderOf({ token }: Customer, orderId: string) {
      return expectStatus(await call('GET', `/api/v1/orders/${orderId}`, { token }), 200).body;
    },
    /** Waits until the order is not pending any more. */
    async finalOrder({ token }: Customer, orderId: string, timeoutMs = 30_000) {
      return waitFor(
        `order ${orderId} is final`,
        async () => {
          const { body } = expectStatus(await call('GET', `/api/v1/orders/${orderId}`, { token }), 200);
          return body.status !== 'pending' && body;
        },
        timeoutMs,
        pauseMs,
      );
    },
    /** As `finalOrder`, of many: one is looked at after the other, so that to wait for all costs no more than for one. */
    async finalOrders(customer: Customer, orderIds: readonly string[], timeoutMs: number) {
      const endsAt = performance.now() + timeoutMs;
      const orders = [];
      for (const id of orderIds)
        orders.push(await this.finalOrder(customer, id, Math.max(1_000, endsAt - performance.now())));
      return orders;
    },
    async timelineOf(
      { token }: Customer,
      orderId: string,
    ): Promise<{ id: string; type: string; time: string; traceId: string }[]> {
      return expectStatus(await call('GET', `/api/v1/orders/${orderId}/timeline`, { token }), 200).body.items;
    },
    async paymentOf({ token }: Customer, orderId: string) {
      return expectStatus(await call('GET', `/api/v1/payments?orderId=${orderId}`, { token }), 200).body.items[0];
    },
    async mailsOf({ token }: Customer, orderId: string): Promise<{ occasion: string; status: string; to: string }[]> {
      return expectStatus(await call('GET', `/api/v1/notifications?orderId=${orderId}`, { token }), 200).body.items;
    },
  };
}

export type Shop = ReturnType<typeof createShop>;
