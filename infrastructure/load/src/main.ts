// Places orders as customers would, through the gateway, waits until each is final, and says what became of them and how fast.
//   npm run load -- --orders 2000 --customers 50 --declined 0.1 --short 0.05
//   npm run load -- --orders 100                      one customer, one order at a time: the latency of an order
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';

/** What stops a load is told in one line. */
function giveUp(message: string): never {
  console.error(message);
  process.exit(1);
}

const options = {
  url: { type: 'string', default: process.env.BASE_URL ?? 'http://localhost:8080' },
  orders: { type: 'string', default: '100' },
  customers: { type: 'string', default: '1' },
  /** The share that pays with a card that is declined. */
  declined: { type: 'string', default: '0' },
  /** The share that wants more than there is. */
  short: { type: 'string', default: '0' },
  'timeout-s': { type: 'string', default: '180' },
} as const;

function readArguments() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return giveUp((error as Error).message);
  }
}

const values = readArguments();
const orders = Number(values.orders);
const customers = Number(values.customers);
const declined = Number(values.declined);
const short = Number(values.short);
const timeoutMs = Number(values['timeout-s']) * 1000;
if (
  ![orders, customers].every((count) => Number.isInteger(count) && count > 0) ||
  ![declined, short].every((share) => share >= 0 && share <= 1) ||
  !(timeoutMs > 0) ||
  !URL.canParse(values.url)
) {
  giveUp(
    '--orders and --customers are positive whole numbers, --declined and --short shares between 0 and 1, --timeout-s a positive number, --url a URL.',
  );
}

interface Reply {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every call
  body: any;
}

/** Calls the gateway; waits as long as it asks to where it says 429 or 503, as a polite client does. */
async function call(
  method: string,
  path: string,
  options: { token?: string; body?: unknown; key?: string } = {},
): Promise<Reply> {
  for (let tries = 1; ; tries += 1) {
    const response = await fetch(values.url.replace(/\/$/, '') + path, {
      method,
      headers: {
        ...(options.body !== undefined && { 'content-type': 'application/json' }),
        ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
        ...(options.key !== undefined && { 'idempotency-key': options.key }),
      },
      ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
    }).catch((error) =>
      giveUp(`${values.url} does not answer (${error.cause?.code ?? error.message}): has it been started?`),
    );
    const text = await response.text();
    const isBusy = response.status === 429 || response.status === 503;
    if (!isBusy || tries === 60) return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
    await delay(Number(response.headers.get('retry-after') ?? 1) * 1000);
  }
}

async function logIn(number: number): Promise<string> {
  let email = 'alice@example.com';
  let password = 'alice-password';
  if (customers > 1) {
    email = `customer-${number}-${randomUUID()}@example.com`;
    password = 'a-long-password';
    const registered = await call('POST', '/api/v1/auth/register', {
      body: { email, password, name: `Customer ${number}` },
    });
    if (registered.status !== 201) throw new Error(`register: ${registered.status} ${JSON.stringify(registered.body)}`);
  }
  const { status, body } = await call('POST', '/api/v1/auth/login', { body: { email, password } });
  if (status !== 200) throw new Error(`login: ${status} ${JSON.stringify(body)}`);
  return body.accessToken;
}

const catalogue = (await call('GET', '/api/v1/products?limit=100')).body.items as { id: string; stock: number }[];
const inStock = catalogue.filter((product) => product.stock > 0);
if (inStock.length === 0) throw new Error('no product is in stock');
const address = { name: 'Alice', line1: '1 Main Street', city: 'Springfield', postalCode: '12345', country: 'US' };

const outcomes = new Map<string, number>();
const latencies: number[] = [];

async function placeAndFollow(token: string, index: number): Promise<void> {
  const product = inStock[index % inStock.length] ?? { id: '', stock: 0 };
  const wantsTooMuch = Math.random() < short;
  const paymentMethod = Math.random() < declined ? 'pm_card_chargeDeclined' : 'pm_card_visa';
  const body = {
    items: [{ productId: product.id, quantity: wantsTooMuch ? 10_000 : 1 }],
    shippingAddress: address,
    paymentMethod,
  };
  const sentAt = Date.now();
  const placed = await call('POST', '/api/v1/orders', { token, body, key: randomUUID() });
  if (placed.status !== 201) throw new Error(`order: ${placed.status} ${JSON.stringify(placed.body)}`);
  const endsAt = performance.now() + timeoutMs;
  let order = placed.body;
  for (let pause = 20; order.status === 'pending' && performance.now() < endsAt; pause = Math.min(1_000, pause * 1.5)) {
    await delay(pause);
    order = (await call('GET', `/api/v1/orders/${order.id}`, { token })).body;
  }
  const outcome = order.cancelReason === undefined ? order.status : `${order.status} (${order.cancelReason})`;
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  if (order.status !== 'confirmed') return;
  const timeline = (await call('GET', `/api/v1/orders/${order.id}/timeline`, { token })).body.items as {
    type: string;
    time: string;
  }[];
  const confirmed = timeline.find((entry) => entry.type === 'order.confirmed');
  if (confirmed !== undefined) latencies.push(Date.parse(confirmed.time) - sentAt);
}

const tokens: string[] = [];
for (let number = 0; number < customers; number += 1) tokens.push(await logIn(number));
const startedAt = performance.now();
let next = 0;
await Promise.all(
  tokens.map(async (token) => {
    while (next < orders) await placeAndFollow(token, next++);
  }),
);
const seconds = (performance.now() - startedAt) / 1000;

latencies.sort((a, b) => a - b);
const quantile = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
console.log(
  `${orders} orders by ${customers} customer${customers === 1 ? '' : 's'} in ${seconds.toFixed(1)} s (${(orders / seconds).toFixed(0)} a second)`,
);
for (const [outcome, count] of [...outcomes].sort()) console.log(`  ${String(count).padStart(6)} ${outcome}`);
if (latencies.length > 0)
  console.log(
    `from sending the order to the time of its confirmation: median ${quantile(0.5)} ms, 99 % ${quantile(0.99)} ms, longest ${latencies.at(-1)} ms`,
  );
if (outcomes.has('pending')) process.exit(1);
