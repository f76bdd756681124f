// Customers as real ones are: they order at a steady rate whatever the platform does, change their minds, ask twice, and remember what they were
// promised.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, callPatiently, orderOf, type Patience, type Request } from './caller.ts';
import { createRandom } from './random.ts';
import { type Asked, type CustomerRecord, createRecord, note } from './record.ts';

const CUSTOMERS = 8;
const PASSWORD = 'a-long-password';
/**
 * Shares of the orders: paid with a card that is declined; for a product of which there is not enough; cancelled by the customer; asked for once
 * more after the answer; placed by somebody who registers first.
 */
const MIX = { declined: 0.1, scarce: 0.06, cancelled: 0.08, repeated: 0.1, newcomer: 0.1 };
/** Every other wish for the scarce product can be met. */
const SCARCE_STOCK_SHARE = MIX.scarce / 2;
/** Then they wait for an answer. */
const MOST_HANG_UPS = 5;
const PLENTIFUL_PRODUCTS = 6;
const PLENTY = 1_000_000;

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
  /** Ends everything at once, also what is being tried. */
  abandon(): void;
  /** From now on customers hang up after this many milliseconds, drawn for each call, and ask again at once, some times; `undefined` ends that. */
  hangUpAfter(range: { least: number; most: number } | undefined): void;
  /** Many customers want the same at the same moment, and there is less of it. Resolves when all have an answer. */
  rush(options: { stock: number; orders: number }): Promise<void>;
  /** A product of which there is plenty, and which these customers do not order. */
  product(): Promise<string>;
  /** Tokens of customers who are not among these. */
  others(count: number): Promise<string[]>;
  /** How many customers there are; more register as time goes by. */
  customers(): number;
  /** Every order that a customer has, as the platform tells it. */
  ordersOf(customer: number, status?: string): Promise<Answer['body'][]>;
  /** What is left of a product. */
  stockOf(productId: string): Promise<number>;
}

interface Customer {
  email: string;
  password: string;
  token: string;
}

/**
 * Opens the shop (products and customers of its own) and lets the customers order, until `end`.
 * @param orders about how many there will be: how much there is of the scarce product
 * @param rate how many a second
 * @param seed what they wish for follows from it
 */
export async function goShopping(options: {
  gatewayUrls: readonly string[];
  orders: number;
  rate: number;
  seed: string;
}): Promise<Shopping> {
  const { gatewayUrls, orders, rate, seed } = options;
  const record = createRecord();
  const random = createRandom(`${seed}/wishes`);
  // How often it is asked depends on the platform, which must not change what is wished for.
  const randomOfCalls = createRandom(`${seed}/calls`);
  const abandoned = new AbortController();
  const { signal } = abandoned;
  let turn = 0;
  let hangsUpAfter: { least: number; most: number } | undefined;

  const call = (request: Request, patience: Patience = {}) =>
    callPatiently(gatewayUrls, turn++, request, { ...patience, signal });
  /** What the record counts: a call of a customer, with their token. */
  const callBy = (customer: Customer, request: Request) => {
    let hangUps = 0;
    return call(
      { ...request, token: customer.token },
      {
        seen: (answer) => note(record, answer),
        hangsUpAfter: () =>
          hangsUpAfter && hangUps++ < MOST_HANG_UPS
            ? randomOfCalls.between(hangsUpAfter.least, hangsUpAfter.most)
            : undefined,
        logInAnew: () => logIn(customer),
      },
    );
  };
  const logIn = async (customer: Customer): Promise<string> => {
    const { email, password } = customer;
    const answer = await call({ method: 'POST', path: '/api/v1/auth/login', body: { email, password } });
    if (answer?.status === 200) customer.token = answer.body.accessToken;
    return customer.token;
  };
  const register = async (): Promise<Customer> => {
    const customer = { email: `${randomUUID()}@example.com`, password: PASSWORD, token: '' };
    const body = { email: customer.email, password: PASSWORD, name: 'A Customer' };
    const answer = await call({ method: 'POST', path: '/api/v1/auth/register', body });
    // 409: the answer to an earlier try was lost.
    if (answer?.status !== 201 && answer?.status !== 409)
      throw new Error(`registering is answered with ${answer?.status} ${JSON.stringify(answer?.body)}`);
    await logIn(customer);
    return customer;
  };

  const admin: Customer = { email: 'admin@example.com', password: 'admin-password', token: '' };
  await logIn(admin);
  const createProduct = async (isScarce: boolean, stock = PLENTY): Promise<Product> => {
    const price = random.between(100, 9_999);
    const body = {
      name: isScarce ? 'Scarce' : 'Plenty',
      description: 'Made to be ordered while things break.',
      category: 'chaos',
      price: { amount: price, currency: 'USD' },
      stock,
    };
    const request = { method: 'POST', path: '/api/v1/products', body, token: admin.token };
    const answer = await call(request, { logInAnew: () => logIn(admin) });
    if (answer?.status !== 201)
      throw new Error(`a new product is answered with ${answer?.status} ${JSON.stringify(answer?.body)}`);
    return { id: answer.body.id, price, stock, isScarce };
  };
  const plenty: Product[] = [];
  for (let number = 0; number < PLENTIFUL_PRODUCTS; number += 1) plenty.push(await createProduct(false));
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
        isScarce,
      })),
      card: random() < MIX.declined ? 'pm_card_chargeDeclined' : 'pm_card_visa',
      cancels: random() < MIX.cancelled,
      repeats: random() < MIX.repeated,
      ids: new Set(),
      cancelled: false,
    };
  };

  /** Asks; what is not answered as it should be is written down. @returns the body of the answer that was hoped for */
  const ask = async (by: Customer, what: string, request: Request, status: number): Promise<Answer['body']> => {
    const answer = await callBy(by, request);
    if (answer?.status === status) return answer.body;
    if (answer === undefined) record.givenUp.push(what);
    else record.unexpected.push(`${what}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return undefined;
  };

  const order = async (asked: Asked, isNewcomer: boolean, cancelsAfterMs: number): Promise<void> => {
    if (isNewcomer) asked.customer = customers.push(await register()) - 1;
    const by = customers[asked.customer];
    if (by === undefined) throw new Error(`there is no customer ${asked.customer}`);
    const items = asked.items.map(({ productId, quantity }) => ({ productId, quantity }));
    const body = orderOf(items, asked.card);
    for (let time = 0; time < (asked.repeats ? 2 : 1); time += 1) {
      const placed = await ask(by, 'an order', { method: 'POST', path: '/api/v1/orders', key: asked.key, body }, 201);
      if (placed === undefined) return;
      asked.ids.add(placed.id);
      asked.total ??= placed.total.amount;
    }
    if (!asked.cancels) return;
    await delay(cancelsAfterMs);
    const [id] = asked.ids;
    const undone = await ask(by, 'a cancellation', { method: 'POST', path: `/api/v1/orders/${id}/cancel` }, 202);
    asked.cancelled = undone !== undefined;
  };

  const underWay = new Set<Promise<void>>();
  const send = (asked: Asked, isNewcomer = false): Promise<void> => {
    record.asked.push(asked);
    const work = order(asked, isNewcomer, random.between(0, 600)).catch((error: Error) => {
      record.unexpected.push(error.message);
    });
    underWay.add(work);
    return work.finally(() => underWay.delete(work));
  };
  let isOpen = true;
  const sending = (async () => {
    const startedAt = performance.now();
    for (let sent = 1; isOpen; sent += 1) {
      void send(wish(), random() < MIX.newcomer);
      await delay(Math.max(0, startedAt + (sent * 1000) / rate - performance.now()));
    }
  })();

  return {
    record,
    products,
    progress: () => ({
      sent: record.asked.length,
      acknowledged: record.asked.filter(({ ids }) => ids.size > 0).length,
    }),
    async sent(count) {
      while (record.asked.length < count && isOpen) await delay(50);
    },
    async end() {
      isOpen = false;
      await sending;
      await Promise.all(underWay);
    },
    abandon() {
      isOpen = false;
      abandoned.abort();
    },
    hangUpAfter(range) {
      hangsUpAfter = range;
    },
    async rush({ stock, orders: wanted }) {
      const product = await createProduct(true, stock);
      products.push(product);
      await Promise.all(Array.from({ length: wanted }, () => send(wish(product))));
    },
    product: async () => (await createProduct(false)).id,
    async others(count) {
      const tokens: string[] = [];
      for (let number = 0; number < count; number += 1) tokens.push((await register()).token);
      return tokens;
    },
    customers: () => customers.length,
    async ordersOf(index, status) {
      const by = customers[index] ?? admin;
      const items: Answer['body'][] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const query = new URLSearchParams({ limit: '100', ...(status && { status }), ...(cursor && { cursor }) });
        const request = { method: 'GET', path: `/api/v1/orders?${query}`, token: by.token };
        const page = await call(request, { logInAnew: () => logIn(by) });
        if (page?.status !== 200) throw new Error(`orders are answered with ${page?.status}`);
        items.push(...page.body.items);
        cursor = page.body.nextCursor;
      }
      return items;
    },
    async stockOf(productId) {
      const answer = await call({ method: 'GET', path: `/api/v1/products/${productId}` });
      if (answer?.status !== 200) throw new Error(`product ${productId} is answered with ${answer?.status}`);
      return answer.body.stock;
    },
  };
}
