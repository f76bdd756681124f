// The platform that the matrix is walked on: its services as they are, the test as their network, and the orders that the walks are about.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { createProvider } from '@glasshouse/payment-simulator/client';
import type { Reply } from '@glasshouse/shared/testing';
import { waitFor } from '@glasshouse/shared/testing';
import type { Platform } from '../../infrastructure/local/src/platform.ts';
import { type Listener, type Look, listeners, openBooks } from './matrix-books.ts';
import { type Ending, type Hands, PRICE, QUANTITY } from './matrix-endings.ts';
import { type Told, takeOverNetwork } from './matrix-network.ts';
import { startTestPlatform } from './platform.ts';
import { type Customer, createShop } from './shop.ts';

/** Long enough for nearly every order to come to its end; what the deadline overtakes is walked again. */
const SAGA_TIMEOUT_S = 20;
/** How many orders are under way at once; those that wait for the deadline do not count. */
const AT_ONCE = 14;
/** Between two looks at the databases. */
const PAUSE_MS = 150;
/** How long to wait for what is only a matter of time. */
const PATIENCE_MS = 60_000;
/** How long a service may take to do what an event asks of it. */
const SETTLED_WITHIN_MS = 30_000;

/** An order, and what can be done to it. */
export interface OrderInHand extends Hands {
  id: string;
  productIds: string[];
  /** Ends the moods that the provider is in towards this order. */
  endMoods(): Promise<unknown>;
}

export type World = Awaited<ReturnType<typeof createWorld>>;

export async function createWorld(options: { copies: number; portOffset: number }) {
  const platform = await startTestPlatform({
    portOffset: options.portOffset,
    replicas: Object.fromEntries(listeners.map((service) => [service, options.copies])),
    env: {
      SAGA_TIMEOUT_S: String(SAGA_TIMEOUT_S),
      DEADLINE_SWEEP_INTERVAL_MS: '250',
      // Nothing reaches order-service but what the test has given it and seen handled.
      DEADLINE_SETTLE_MS: '0',
      PAYMENT_SWEEP_INTERVAL_MS: '250',
    },
  });
  try {
    return await inhabit(platform);
  } catch (error) {
    await platform.stop();
    throw error;
  }
}

async function inhabit(platform: Platform) {
  const shop = createShop(platform.gatewayUrl);
  // On a busy machine a first login may take longer than the gateway has patience.
  const patiently = (enter: () => Promise<Customer>) => waitFor('somebody is logged in', enter, PATIENCE_MS);
  const [admin, alice, bob] = (await Promise.all([shop.admin, shop.alice, shop.register].map(patiently))) as [
    Customer,
    Customer,
    Customer,
  ];
  const provider = createProvider(platform.auditEnv.AUDIT_LEDGER_URL ?? '');
  const books = await openBooks(platform.admin);
  const network = await takeOverNetwork(platform.admin.rabbitmqUrl);
  const slots = createSlots(AT_ONCE);
  const watch = createWatch(books, network);
  /** What has not come to its end yet, or never did. */
  const underWay = new Set<OrderInHand>();
  let placed = 0;

  /** Calls again where the gateway's patience is over before a busy machine has answered. A call under a key is made once, however often it comes. */
  const insist = async (status: number, call: () => Promise<Reply>) => {
    const hasAnswered = (reply: Reply) => reply.status !== 503 && reply.status !== 504 && reply;
    const reply = await waitFor('an answer', async () => hasAnswered(await call()), PATIENCE_MS);
    assert.equal(reply.status, status, JSON.stringify(reply.body));
    return reply.body;
  };

  /** Places an order as the ending wants it. No service hears of it before the test tells it. */
  async function placeOrder({ stock = [5], paymentMethod, moods = [] }: Ending): Promise<OrderInHand> {
    const customer = placed++ % 2 === 0 ? alice : bob;
    const productIds = await Promise.all(
      stock.map((units) => waitFor('a product', () => shop.createProduct(admin, units, PRICE), PATIENCE_MS)),
    );
    const items = productIds.map((productId) => ({ productId, quantity: QUANTITY }));
    const wanted = { items, key: randomUUID(), ...(paymentMethod && { paymentMethod }) };
    const { id } = await insist(201, () => shop.placeOrder(customer, wanted));
    const rules = await Promise.all(moods.map((mood) => provider.setMood({ ...mood, order_id: id })));

    const post = (status: number, path: string, { token }: Customer, body?: object) => {
      const request = { token, body, headers: { 'idempotency-key': randomUUID() } };
      return insist(status, () => shop.call('POST', path, request));
    };
    const order: OrderInHand = {
      id,
      productIds,
      cancel: (by) => post(202, `/api/v1/orders/${id}/cancel`, by === 'admin' ? admin : customer),
      ship: () => post(200, `/api/v1/orders/${id}/ship`, admin),
      deliver: () => post(200, `/api/v1/orders/${id}/deliver`, admin),
      async refund(amount) {
        const { payment } = await books.read(id, productIds);
        const body = { reason: 'For a test.', ...(amount !== undefined && { amount }) };
        return post(202, `/api/v1/payments/${payment?.id}/refunds`, admin, body);
      },
      waitForDeadline: () =>
        slots.withoutOne(() => network.untilTold(id, 'order.cancelled', (SAGA_TIMEOUT_S + 60) * 1000)),
      async calmProvider() {
        const isMine = ({ order_id: orderId }: { order_id?: string | undefined }) => orderId === id;
        await waitFor('the provider has shown each of its moods', async () =>
          (await provider.moods()).filter(isMine).every(({ acted }) => acted > 0),
        );
        await this.endMoods();
      },
      endMoods: () => Promise.all(rules.splice(0).map((rule) => provider.endMood(rule.id))),
    };
    underWay.add(order);
    return order;
  }

  return {
    platform,
    shop,
    admin,
    provider,
    books,
    network,
    slots,
    underWay,
    placeOrder,
    settled: watch.settled,
    async stop() {
      await books.close();
      await network.stop();
      await platform.stop();
    },
  };
}

/** Lets so much work go on at once; who comes too late waits. */
function createSlots(count: number) {
  let free = count;
  const queue: (() => void)[] = [];
  const take = () => {
    if (free === 0) return new Promise<void>((resolve) => queue.push(resolve));
    free -= 1;
    return Promise.resolve();
  };
  const give = () => {
    const next = queue.shift();
    if (next === undefined) free += 1;
    else next();
  };
  const within = async <T>(before: () => Promise<void>, work: () => Promise<T>, after: () => unknown): Promise<T> => {
    await before();
    try {
      return await work();
    } finally {
      await after();
    }
  };
  return {
    withOne: <T>(work: () => Promise<T>) => within(take, work, give),
    /** Lets somebody else go on while `work` is waited for. */
    withoutOne: <T>(work: () => Promise<T>) => within(async () => give(), work, take),
    /** Runs `work` while nothing else goes on. */
    withAll: <T>(work: () => Promise<T>) =>
      within(
        async () => void (await Promise.all(Array.from({ length: count }, take))),
        work,
        () => Array.from({ length: count }, give),
      ),
  };
}

/** What has been given to which service. */
export interface Delivery {
  told: Told;
  to: Listener;
}

interface Waiting {
  orderId: string;
  deliveries: readonly Delivery[];
  services: readonly Listener[];
  leavesOpen: boolean;
  giveUpAt: number;
  resolve(isCharging: boolean): void;
  reject(error: Error): void;
}

/** Looks for all orders that somebody waits for at once: with many of them that costs hardly more than with one. */
function createWatch(
  { look }: Pick<Awaited<ReturnType<typeof openBooks>>, 'look'>,
  { flush }: Pick<Awaited<ReturnType<typeof takeOverNetwork>>, 'flush'>,
) {
  const waiting = new Set<Waiting>();
  let isLooking = false;

  /** What a service still has to do for an order; undefined where there is nothing. */
  const unfinished = ({ orderId, deliveries, leavesOpen }: Waiting, service: Listener, seen: Look | undefined) => {
    const open = deliveries.find(({ to, told }) => to === service && !seen?.handled.has(told.event.id));
    const busyWith = open === undefined ? seen?.busyWith(orderId) : `${open.told.event.type} not handled`;
    const isCharging = seen?.charging.has(orderId) === true && !leavesOpen;
    const what = busyWith ?? (isCharging ? 'charging' : undefined);
    return what && `${service}: ${what}`;
  };

  const lookAgain = async () => {
    const asked = [...waiting];
    const seen = new Map<Listener, Look>();
    await Promise.all(
      listeners.map(async (service) => {
        const concerned = asked.filter(({ services }) => services.includes(service));
        if (concerned.length === 0) return;
        const deliveries = concerned.flatMap((one) => one.deliveries.filter(({ to }) => to === service));
        const eventIds = deliveries.map(({ told }) => told.event.id);
        const orderIds = concerned.map(({ orderId }) => orderId);
        seen.set(service, await look(service, eventIds, orderIds));
      }),
    );
    // Whatever a service has published by now is here before anybody goes on.
    await flush();
    for (const one of asked) {
      const reasons = one.services.map((service) => unfinished(one, service, seen.get(service)));
      const reason = reasons.find((text) => text !== undefined);
      if (reason !== undefined && performance.now() < one.giveUpAt) continue;
      waiting.delete(one);
      if (reason === undefined) one.resolve(seen.get('payment-service')?.charging.has(one.orderId) === true);
      else one.reject(new Error(`not settled after ${SETTLED_WITHIN_MS} ms: ${reason}`));
    }
  };

  const keepLooking = async () => {
    isLooking = true;
    try {
      while (waiting.size > 0) {
        await lookAgain();
        await delay(PAUSE_MS);
      }
    } catch (error) {
      for (const one of waiting) one.reject(error as Error);
      waiting.clear();
    } finally {
      isLooking = false;
    }
  };

  return {
    /**
     * Resolves when all deliveries have been handled, and all that followed from them, or was under way in these services, has been done and told.
     * @param leavesOpen whether the provider leaves the order's charge open, so that it counts as done
     * @returns whether payment-service, if it was looked at, is charging
     * @throws where that takes too long, with the reason
     */
    settled(
      orderId: string,
      deliveries: readonly Delivery[],
      services: readonly Listener[],
      leavesOpen: boolean,
    ): Promise<boolean> {
      return new Promise((resolve, reject) => {
        const giveUpAt = performance.now() + SETTLED_WITHIN_MS;
        waiting.add({ orderId, deliveries, services, leavesOpen, giveUpAt, resolve, reject });
        if (!isLooking) void keepLooking();
      });
    },
  };
}
