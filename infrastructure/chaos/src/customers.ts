// Customers as real clients are: they order at a steady rate whatever the platform does, and try again with the same Idempotency-Key, at the
// other gateway, for as long as they get no answer or one that says "not now".
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from './random.ts';
import { type Asked, type CustomerRecord, createRecord } from './record.ts';

/** A little more than the gateway takes to give up on a service. */
const CALL_TIMEOUT_MS = 12_000;
/** How long a customer goes on trying. */
const PATIENCE_MS = 120_000;
const PAUSE_MS = { first: 100, longest: 2_000 };
const CUSTOMERS = 8;
const PASSWORD = 'a-long-password';
/** Shares of the orders: paid with a card that is declined; for a product of which there is not enough; cancelled by the customer. */
const MIX = { declined: 0.1, scarce: 0.06, cancelled: 0.08 };
/** Every other wish for the scarce product can be met. */
const SCARCE_STOCK_SHARE = MIX.scarce / 2;
const PLENTIFUL_PRODUCTS = 6;
const PLENTY = 1_000_000;

const address = { name: 'A Customer', line1: '1 Main Street', city: 'Springfield', postalCode: '12345', country: 'US' };

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every call
  body: any;
  retryAfterMs: number | undefined;
}

export interface Product {
  id: string;
  price: number;
  stock: number;
  isScarce: boolean;
}

export interface Shopping {
  record: CustomerRecord;
  products: readonly Product[];
  /** How many orders have been sent so far, and how many of them are acknowledged. */
  progress(): { sent: number; acknowledged: number };
  /** Resolves when the customers have sent so many orders. */
  sent(count: number): Promise<void>;
  /** Sends no more. Resolves when every customer has an answer or has given up. */
  end(): Promise<void>;
  /** Every order that a customer has, as the platform tells it. */
  ordersOf(customer: number, status?: string): Promise<Answer['body'][]>;
  customers: number;
  /** From now on customers hang up after this many milliseconds, drawn for each call, and ask again at once; `undefined` ends that. */
  hangUpAfter(range: { least: number; most: number } | undefined): void;
  /** Many customers want the same at the same moment, and there is less of it. Resolves when all have an answer. */
  rush(options: { stock: number; orders: number }): Promise<void>;
  /** What is left of a product. */
  stockOf(productId: string): Promise<number>;
}

interface Customer {
  email: string;
  token: string;
}

/** One call to any of the gateways. @returns undefined where there is no answer */
export async function callOnce(
  url: string,
  method: string,
  path: string,
  options: { token?: string; key?: string; body?: unknown; timeoutMs?: number } = {},
): Promise<Answer | undefined> {
  const { token, key, body, timeoutMs = CALL_TIMEOUT_MS } = options;
  try {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(key !== undefined && { 'idempotency-key': key }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    const retryAfter = response.headers.get('retry-after');
    return {
      status: response.status,
      body: text === '' ? undefined : JSON.parse(text),
      retryAfterMs: retryAfter === null ? undefined : Number(retryAfter) * 1000,
    };
  } catch {
    return undefined;
  }
}

/**
 * Opens the shop (products and customers of its own) and lets the customers order, until `end`.
 * @param orders about how many there will be: how much there is of the scarce product
 * @param rate how many a second
 */
export async function goShopping(options: {
  gatewayUrls: readonly string[];
  orders: number;
  rate: number;
  random: Random;
}): Promise<Shopping> {
  const { gatewayUrls, orders, rate, random } = options;
  const record = createRecord();
  let turn = 0;
  let hangsUpAfter: { least: number; most: number } | undefined;

  /** Tries until there is an answer that is final, or patience ends. */
  const call = async (
    method: string,
    path: string,
    options: { by?: Customer; key?: string; body?: unknown; isCounted?: boolean } = {},
  ): Promise<Answer | undefined> => {
    const { by, isCounted = false, ...rest } = options;
    const givesUpAt = performance.now() + PATIENCE_MS;
    let pause = PAUSE_MS.first;
    let wasRefused = false;
    turn += 1;
    for (let attempt = turn; performance.now() < givesUpAt; attempt += 1) {
      const url = gatewayUrls[attempt % gatewayUrls.length] ?? '';
      const timeoutMs = isCounted && hangsUpAfter ? random.between(hangsUpAfter.least, hangsUpAfter.most) : undefined;
      const answer = await callOnce(url, method, path, {
        ...rest,
        ...(by && { token: by.token }),
        ...(timeoutMs && { timeoutMs }),
      });
      if (isCounted) {
        const status = answer?.status ?? 'none';
        record.calls += 1;
        record.answers.set(status, (record.answers.get(status) ?? 0) + 1);
      }
      if (answer?.status === 401 && by !== undefined) {
        // The token has run out; or somebody's clock says so, and then the next one is no better.
        if (wasRefused) await delay(PAUSE_MS.longest);
        wasRefused = true;
        await logIn(by);
        continue;
      }
      if (answer !== undefined && answer.status < 500 && answer.status !== 429) return answer;
      if (timeoutMs !== undefined && answer === undefined) continue;
      await delay(Math.max(pause * (0.5 + Math.random()), answer?.retryAfterMs ?? 0));
      pause = Math.min(pause * 2, PAUSE_MS.longest);
    }
    return undefined;
  };
  const expect = async (status: number, method: string, path: string, options: Parameters<typeof call>[2]) => {
    const answer = await call(method, path, options);
    if (answer?.status !== status)
      throw new Error(`${method} ${path} is answered with ${answer?.status} ${JSON.stringify(answer?.body)}`);
    return answer.body;
  };
  const logIn = async (customer: Customer, password = PASSWORD): Promise<void> => {
    const answer = await call('POST', '/api/v1/auth/login', { body: { email: customer.email, password } });
    if (answer?.status === 200) customer.token = answer.body.accessToken;
  };

  const register = async (): Promise<Customer> => {
    const customer = { email: `${randomUUID()}@example.com`, token: '' };
    const body = { email: customer.email, password: PASSWORD, name: 'A Customer' };
    await expect(201, 'POST', '/api/v1/auth/register', { body });
    await logIn(customer);
    return customer;
  };
  const admin: Customer = { email: 'admin@example.com', token: '' };
  await logIn(admin, 'admin-password');
  const createProduct = async (isScarce: boolean, stock = PLENTY): Promise<Product> => {
    const price = random.between(100, 9_999);
    const { id } = await expect(201, 'POST', '/api/v1/products', {
      by: admin,
      body: {
        name: isScarce ? 'Scarce' : 'Plenty',
        description: 'Made to be ordered while things break.',
        category: 'chaos',
        price: { amount: price, currency: 'USD' },
        stock,
      },
    });
    return { id, price, stock, isScarce };
  };
  const plenty = await Promise.all(Array.from({ length: PLENTIFUL_PRODUCTS }, () => createProduct(false)));
  const scarce = await createProduct(true, Math.ceil(orders * SCARCE_STOCK_SHARE));
  const products = [...plenty, scarce];
  const customers: Customer[] = [];
  for (let number = 0; number < CUSTOMERS; number += 1) customers.push(await register());

  const wish = (product?: Product): Asked => {
    const usual = random() < MIX.scarce ? [scarce] : [random.pick(plenty), random.pick(plenty)];
    const wanted = product === undefined ? usual : [product];
    return {
      key: randomUUID(),
      customer: random.between(0, CUSTOMERS - 1),
      items: [...new Set(wanted)].map(({ id, price, isScarce }) => ({
        productId: id,
        quantity: isScarce ? 1 : random.between(1, 3),
        unitPrice: price,
      })),
      card: random() < MIX.declined ? 'pm_card_chargeDeclined' : 'pm_card_visa',
      cancels: random() < MIX.cancelled,
      ids: new Set(),
      cancelled: false,
    };
  };

  const order = async (asked: Asked, cancelsAfterMs: number): Promise<void> => {
    const by = customers[asked.customer];
    const answer = await call('POST', '/api/v1/orders', {
      ...(by && { by }),
      key: asked.key,
      body: {
        items: asked.items.map(({ productId, quantity }) => ({ productId, quantity })),
        paymentMethod: asked.card,
        shippingAddress: address,
      },
      isCounted: true,
    });
    if (answer === undefined) record.givenUp += 1;
    else if (answer.status !== 201) record.unexpected.push(`${answer.status} ${JSON.stringify(answer.body)}`);
    else {
      asked.ids.add(answer.body.id);
      asked.total = answer.body.total.amount;
      if (!asked.cancels) return;
      await delay(cancelsAfterMs);
      const { id } = answer.body;
      const undone = await call('POST', `/api/v1/orders/${id}/cancel`, { ...(by && { by }), isCounted: true });
      if (undone?.status === 202) asked.cancelled = true;
      else if (undone !== undefined) record.unexpected.push(`cancel: ${undone.status} ${JSON.stringify(undone.body)}`);
    }
  };

  const pending = new Set<Promise<void>>();
  const send = (asked: Asked): Promise<void> => {
    record.asked.push(asked);
    const work = order(asked, random.between(0, 600)).catch((error: Error) => {
      record.unexpected.push(`${error.name}: ${error.message}`);
    });
    pending.add(work);
    return work.finally(() => pending.delete(work));
  };
  let sent = 0;
  let isOpen = true;
  const sending = (async () => {
    const startedAt = performance.now();
    while (isOpen) {
      void send(wish());
      sent += 1;
      await delay(Math.max(0, startedAt + (sent * 1000) / rate - performance.now()));
    }
  })();

  return {
    record,
    products,
    customers: CUSTOMERS,
    progress: () => ({
      sent: record.asked.length,
      acknowledged: record.asked.filter(({ ids }) => ids.size > 0).length,
    }),
    async sent(count) {
      while (record.asked.length < count) await delay(50);
    },
    async end() {
      isOpen = false;
      await sending;
      await Promise.all(pending);
    },
    hangUpAfter(range) {
      hangsUpAfter = range;
    },
    async rush({ stock, orders: wanted }) {
      const product = await createProduct(true, stock);
      products.push(product);
      await Promise.all(Array.from({ length: wanted }, () => send(wish(product))));
    },
    async ordersOf(index, status) {
      const by = customers[index];
      const items: Answer['body'][] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const query: string = `?limit=100${status ? `&status=${status}` : ''}${cursor === '' ? '' : `&cursor=${cursor}`}`;
        const page = await expect(200, 'GET', `/api/v1/orders${query}`, { ...(by && { by }) });
        items.push(...page.items);
        cursor = page.nextCursor;
      }
      return items;
    },
    async stockOf(productId) {
      return (await expect(200, 'GET', `/api/v1/products/${productId}`, {})).stock;
    },
  };
}
