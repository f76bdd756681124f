// Whatever comes, from whomever: no call fails on our side, none hangs, no process dies, and nothing is written down that was not promised with a 2xx.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { loadConfig } from '../infrastructure/auditor/src/config.ts';
import { audit } from '../infrastructure/auditor/src/index.ts';
import type { Platform } from '../infrastructure/local/src/platform.ts';
import { type Books, readBooks } from './support/books.ts';
import { type Call, calls, createWorld, doorsOf, type World } from './support/calls.ts';
import { bytesOf, type Hostile, hostileRequest, OWN, OWN_PRODUCT } from './support/hostile.ts';
import { type Answer, isWhole, sendHostile } from './support/hostile-sender.ts';
import { startSharedPlatform } from './support/platform.ts';

// The same requests in every test run; others each time in a longer one.
const { FUZZ_REQUESTS, FUZZ_SEED = FUZZ_REQUESTS === undefined ? 1 : Date.now() % 2 ** 31 } = process.env;
const requests = Number(FUZZ_REQUESTS ?? 1_000);
const seed = Number(FUZZ_SEED);
/** Also meets what only happens to requests at the same time. */
const AT_ONCE = 4;

let platform: Platform;
let world: World;
/** What there is, for requests that want to hit something; what they make comes to it. */
let known: { products: string[]; orders: string[]; payments: string[]; addresses: string[] };

before(async () => {
  platform = await startSharedPlatform({ portOffset: 5_550 });
  world = await createWorld(platform);
  const orders = [world.order.id, await world.newOrder(), await world.newOrder()];
  known = {
    products: [world.productId, await world.newProduct(), await world.newPurchase()],
    orders,
    payments: await Promise.all(orders.map(world.paymentIdOf)),
    addresses: [world.addressId, await world.newAddress()],
  };
});
after(async () => {
  await platform?.stop();
});

/** What a 2xx has promised. */
interface Promised {
  operationId: string;
  id: string;
  key: string;
  who: Hostile['who'];
  body: string;
  answer: Record<string, unknown>;
}
const promised: Promised[] = [];

let turn = 0;
function idOf({ template }: Call): string {
  turn += 1;
  const [, kind = ''] = /\/(addresses|orders|payments|products|users)\/\{/.exec(template) ?? [];
  const ids = kind === 'users' ? [world.actors.owner.userId] : (known[kind as keyof typeof known] ?? []);
  return ids[turn % ids.length] ?? randomUUIDv7();
}

/** Sends it and looks at what comes back. */
async function tryOut(hostile: Hostile): Promise<void> {
  const call = calls.find(({ operation }) => operation.operationId === hostile.operationId);
  if (call === undefined) throw new Error(`no ${hostile.operationId}`);
  const [gateway, service = gateway] = doorsOf(call, platform);
  const door = hostile.door === 'gateway' ? gateway : service;
  const id = hostile.id === OWN ? idOf(call) : hostile.id;
  const { who, method, way } = hostile;
  const token = who === 'nobody' ? undefined : world.actors[who === 'customer' ? 'owner' : 'admin'].token;
  const hasOwn = hostile.headers.some(([name]) => name === 'authorization');
  const body = hostile.body?.replaceAll(OWN_PRODUCT, known.products[turn % known.products.length] ?? '');
  const ready = {
    url: new URL(door.url),
    method,
    path: door.pathOf(call, id) + (hostile.query === '' ? '' : `?${hostile.query}`),
    headers: [
      ...hostile.headers,
      ...(token === undefined || hasOwn ? [] : [['authorization', `Bearer ${token}`] as [string, string]]),
    ],
    body: bytesOf(body, hostile.damage),
  };
  const answers = await sendHostile(way, ready);
  if (isWhole(hostile)) assert.ok(answers.length > 0, 'no answer');
  for (const answer of answers) assertWellAnswered(answer, method);
  const [first] = answers;
  if (first === undefined || first.status >= 300 || method !== call.method) return;
  remember({
    operationId: hostile.operationId,
    id,
    key: String(hostile.headers.find(([name]) => name === 'idempotency-key')?.[1]),
    who,
    body: body ?? '',
    answer: first.text === '' ? {} : JSON.parse(first.text),
  });
}

function assertWellAnswered({ status, contentType, text }: Answer, method: string): void {
  assert.ok(status >= 200 && status < 500, `${status} ${text}`);
  if (status < 400 || method === 'HEAD') return;
  assert.equal(contentType, 'application/problem+json; charset=utf-8', `${status} ${text}`);
  const problem = JSON.parse(text);
  assert.equal(problem.status, status, text);
  assert.match(problem.code, /^[a-z-]+(\.[a-z-]+)?$/, text);
}

function remember(done: Promised): void {
  promised.push(done);
  const lists = { createProduct: known.products, placeOrder: known.orders, addAddress: known.addresses };
  lists[done.operationId as keyof typeof lists]?.push(String(done.answer.id));
}

const promisedBy = (...operationIds: string[]) =>
  promised.filter(({ operationId }) => operationIds.includes(operationId));

/** Fails where something is in the books that nobody was promised, or was promised and is not in them. */
function assertKept(before: Books, now: Books): void {
  const made = {
    users: 'registerUser',
    addresses: 'addAddress',
    orders: 'placeOrder',
    refunds: 'requestRefund',
    products: 'createProduct',
    reviews: 'createReview',
  } as const;
  const changed: Partial<Record<keyof typeof made, string[]>> = {
    users: promisedBy('updateMyProfile').map(({ who }) => world.actors[who === 'admin' ? 'admin' : 'owner'].userId),
    orders: promisedBy('cancelOrder', 'shipOrder', 'deliverOrder').map(({ id }) => id),
    products: promisedBy('updateProduct', 'deleteProduct').map(({ id }) => id),
  };
  const removed = new Set(promisedBy('removeAddress').map(({ id }) => id));
  for (const kind of Object.keys(made) as (keyof typeof made)[]) {
    const ids = new Set([...before[kind].keys(), ...promisedBy(made[kind]).map(({ answer }) => String(answer.id))]);
    if (kind === 'addresses') for (const id of removed) ids.delete(id);
    assert.deepEqual([...now[kind].keys()].sort(), [...ids].sort(), kind);
    for (const [id, entry] of before[kind])
      if (now[kind].has(id) && !changed[kind]?.includes(id)) assert.equal(now[kind].get(id), entry, `${kind} ${id}`);
  }
  for (const { id } of promisedBy('deleteProduct')) assert.match(now.products.get(id) ?? '', /"deleted":true/);
  const received = new Map(before.received);
  const add = (id: string, units: number) => received.set(id, (received.get(id) ?? 0) + units);
  for (const { answer, body } of promisedBy('createProduct')) add(String(answer.id), JSON.parse(body).stock ?? 0);
  const deliveries = new Map(promisedBy('changeStock').map((one) => [`${one.id} ${one.key}`, one]));
  for (const { id, body } of deliveries.values()) add(id, JSON.parse(body).delta);
  const withUnits = (units: Map<string, number>) => [...units].filter(([, count]) => count !== 0).sort();
  assert.deepEqual(withUnits(now.received), withUnits(received), 'units that came');
}

async function assertAuditIsClean(): Promise<void> {
  const { equations } = await audit(loadConfig(platform.auditEnv));
  const broken = equations
    .filter((equation) => !equation.ok)
    .map(({ id, findings }) => `(${id}) ${JSON.stringify(findings.slice(0, 3))}`);
  assert.deepEqual(broken, []);
}

test('hostile requests: none fails on our side or hangs, and only what was promised is done', {
  timeout: 3_600_000,
}, async (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}, ${requests} requests`);
  await assertAuditIsClean();
  const booksBefore = await readBooks(platform);
  const pids = () => [...platform.processes].map(([name, { pid }]) => `${name} ${pid()}`);
  const pidsBefore = pids();
  const several = fc.array(hostileRequest, { minLength: 1, maxLength: AT_ONCE, size: 'max' });
  await fc.assert(
    fc.asyncProperty(several, async (batch) => {
      await Promise.all(batch.map(tryOut));
    }),
    {
      seed,
      numRuns: Math.ceil((2 * requests) / (AT_ONCE + 1)),
      interruptAfterTimeLimit: 3_000_000,
      markInterruptAsFailure: true,
    },
  );
  assert.deepEqual(pids(), pidsBefore);
  await assertAuditIsClean();
  assertKept(booksBefore, await readBooks(platform));
  const kinds = [...Map.groupBy(promised, ({ operationId }) => operationId)];
  t.diagnostic(`promised: ${kinds.map(([name, done]) => `${done.length} ${name}`).join(', ')}`);
});
