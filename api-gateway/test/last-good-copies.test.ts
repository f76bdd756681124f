// The public catalogue while product-service can't answer: the last good copy, marked by its age, and never anything else.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import { answer, assertProblem, type Behaviour, breakOff, hang, startPlatform, type TestPlatform } from './harness.ts';

const PATH = '/api/v1/products';
const good = answer(200, { items: [{ name: 'A kettle' }], nextCursor: null });

let platform: TestPlatform | undefined;
let admin: string;

async function start(settings: Record<string, string> = {}) {
  platform = await startPlatform({ UPSTREAM_BREAKER_RESET_MS: '60000', ...settings });
  admin = platform.keys.token(randomUUIDv7(), ['admin']);
  const { gateway } = platform;
  const products = platform.upstreams['product-service'];
  products.behave(good);
  return { products, gateway, get: (path = PATH, headers = {}) => gateway.call('GET', path, { headers }) };
}
beforeEach(() => {
  platform = undefined;
});
afterEach(() => platform?.stop());

const age = (reply: { headers: Headers }) => reply.headers.get('age');

for (const [kind, behaviour] of Object.entries({
  'answers 502': answer(502),
  'answers 503': answer(503),
  'answers 504': answer(504),
  'breaks off': breakOff,
  'does not answer in time': hang,
}))
  test(`lastGood: where product-service ${kind}, the last good answer comes, with its Age`, async () => {
    const { products, get } = await start({ UPSTREAM_TIMEOUT_MS: '1000' });
    const fresh = await get();
    assert.equal(fresh.status, 200);
    assert.equal(age(fresh), null);
    products.behave(behaviour);
    const copy = await get();
    assert.equal(copy.status, 200);
    assert.deepEqual(copy.body, fresh.body);
    assert.match(age(copy) ?? '', /^\d+$/);
    assert.match(copy.headers.get('content-type') ?? '', /^application\/json/);
    assert.notEqual(copy.headers.get('x-request-id'), fresh.headers.get('x-request-id'));
    assert.equal(copy.headers.get('retry-after'), null);
  });

test('lastGood: also where it is gone, where its circuit is open and where it is full', async () => {
  const { products, gateway, get } = await start({ UPSTREAM_MAX_IN_FLIGHT: '1' });
  await get();
  let release = () => {};
  products.behave((seen, response, request) => {
    release = () => good(seen, response, request);
  });
  const before = products.seen.length;
  const held = gateway.call('GET', '/api/v1/categories');
  await waitFor('the service is full', () => products.seen.length > before);
  assert.match(age(await get()) ?? '', /^\d+$/, 'full');
  release();
  await held;
  products.behave(good);
  await waitFor('there is room again', async () => age(await get()) === null);
  await products.stop();
  for (let n = 0; n < 10; n += 1) {
    const { status, headers } = await get();
    assert.equal(status, 200);
    assert.match(headers.get('age') ?? '', /^\d+$/);
  }
  assert.equal((await gateway.call('GET', '/ready')).body['product-service'], 'open');
});

test('lastGood: a fresh answer is asked for first, and becomes the copy', async () => {
  const { products, get } = await start();
  await get();
  products.behave(answer(200, { items: [], nextCursor: null }));
  const second = await get();
  assert.deepEqual(second.body.items, []);
  assert.equal(age(second), null);
  products.behave(answer(503));
  assert.deepEqual((await get()).body.items, []);
  assert.equal(products.seen.length, 3);
  products.behave(good);
  assert.equal(age(await get()), null, 'fresh again at once');
});

test('lastGood: Age counts the seconds since the service answered, those of its own before included', async () => {
  const { products, get } = await start();
  products.behave(answer(200, {}, { age: '100' }));
  await get();
  products.behave(answer(503));
  const first = Number(age(await get()));
  assert.ok(first >= 100 && first < 110, `${first}`);
  await waitFor('a second more', async () => Number(age(await get())) > first);
});

test('lastGood: a copy is for exactly its path and query; where there is none the failure is told as it is', async () => {
  const { products, get } = await start();
  await get(`${PATH}?limit=1`);
  products.behave(answer(503));
  assert.equal((await get(PATH)).status, 503);
  assert.equal((await get(`${PATH}?limit=2`)).status, 503);
  assert.equal((await get(`${PATH}?limit=1&sort=name`)).status, 503);
  assert.equal((await get(`${PATH}?limit=1`)).status, 200);
  await products.stop();
  assertProblem(await get('/api/v1/categories'), 503, 'upstream.unavailable', '/api/v1/categories');
});

test('lastGood: HEAD gets the headers of the copy alone, and leaves the copy as it is', async () => {
  const { products, gateway, get } = await start();
  const { body } = await get();
  assert.equal((await gateway.call('HEAD', PATH)).status, 200);
  products.behave(answer(503));
  const head = await gateway.call('HEAD', PATH);
  assert.equal(head.status, 200);
  assert.equal(head.body, '');
  assert.equal(Number(head.headers.get('content-length')), JSON.stringify(body).length);
  assert.match(age(head) ?? '', /^\d+$/);
  assert.deepEqual((await get()).body, body);
});

test('lastGood: a product that is a 404 has no copy any longer; other refusals neither make nor drop one', async () => {
  const { products, get } = await start();
  const path = `${PATH}/${randomUUIDv7()}`;
  await get(path);
  for (const status of [400, 429, 500]) {
    products.behave(answer(status));
    assert.equal((await get(path)).status, status, 'told as it is');
  }
  products.behave(answer(503));
  assert.equal((await get(path)).status, 200);
  products.behave(answer(404));
  assert.equal((await get(path)).status, 404);
  products.behave(answer(503));
  assert.equal((await get(path)).status, 503);
});

test('lastGood: only public catalogue GETs have copies', async () => {
  const { products, gateway, get } = await start();
  for (const name of ['user-service', 'order-service'] as const) platform?.upstreams[name].behave(good);
  const one = `${PATH}/${randomUUIDv7()}`;
  const calls = [
    ['GET', '/api/v1/orders'],
    ['POST', PATH],
    ['DELETE', one],
  ] as const;
  for (const path of [PATH, one]) await get(path);
  const call = ([method, path]: (typeof calls)[number]) =>
    gateway.call(method, path, { token: admin, ...(method === 'POST' ? { body: {} } : {}) });
  for (const each of calls) assert.equal((await call(each)).status, 200);
  products.behave(answer(503));
  platform?.upstreams['order-service'].behave(answer(503));
  for (const each of calls) assert.equal((await call(each)).status, 503, each.join(' '));
});

test('lastGood: whoever asks, product-service sees no credentials, so a copy is nobody’s own', async () => {
  const { products, gateway } = await start();
  await gateway.call('GET', PATH, { token: admin, headers: { cookie: 'session=1' } });
  assert.equal(products.seen.at(-1)?.headers.authorization, undefined);
  assert.equal(products.seen.at(-1)?.headers.cookie, undefined);
  products.behave(answer(503));
  assert.equal((await gateway.call('GET', PATH)).status, 200);
});

for (const [name, value] of [
  ['cache-control', 'no-store'],
  ['cache-control', 'private, max-age=5'],
  ['set-cookie', 'a=1'],
  ['vary', 'accept-language'],
] as const)
  test(`lastGood: an answer with ${name}: ${value} is not kept`, async () => {
    const { products, get } = await start();
    products.behave(answer(200, {}, { [name]: value }));
    await get();
    products.behave(answer(503));
    assert.equal((await get()).status, 503);
  });

test('lastGood: an answer that breaks off is not kept', async () => {
  const { products, get } = await start();
  await get();
  products.behave((_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 5_000 });
    response.write('{"items":[', () => response.destroy());
  });
  await assert.rejects(get());
  products.behave(answer(503));
  assert.deepEqual((await get()).body.items, [{ name: 'A kettle' }], 'the one before is');
});

test('lastGood: a copy that is too old is not sent', async () => {
  const { products, get } = await start({ LAST_GOOD_MAX_AGE_S: '3' });
  await get();
  products.behave(answer(503));
  assert.equal((await get()).status, 200);
  await waitFor('it is too old', async () => (await get()).status === 503);
});

test('lastGood: searches and later pages, of which there is no end, have no copies and take no room', async () => {
  const { products, get } = await start({ LAST_GOOD_MAX_BYTES: '160000' });
  await get(`${PATH}?category=kitchen`);
  products.behave(answer(200, 'x'.repeat(8_000)));
  const endless = Array.from({ length: 15 }, (_, n) => [`${PATH}?search=${n}`, `${PATH}?sort=name&cursor=${n}`]).flat();
  for (const path of endless) assert.equal((await get(path)).status, 200);
  products.behave(answer(503));
  assert.equal((await get(`${PATH}?category=kitchen`)).status, 200, 'not pushed out');
  for (const path of endless) assert.equal((await get(path)).status, 503, path);
});

test('lastGood: the room is bounded: an answer over its share is not kept, and what was not asked for goes first', async () => {
  const sized = (bytes: number): Behaviour => answer(200, 'x'.repeat(bytes));
  const { products, get } = await start({ LAST_GOOD_MAX_BYTES: '160000' });
  products.behave(sized(10_001));
  await get(`${PATH}?n=large`);
  products.behave(answer(503));
  assert.equal((await get(`${PATH}?n=large`)).status, 503);
  products.behave(sized(8_000));
  for (let n = 0; n < 30; n += 1) await get(`${PATH}?n=${n}`);
  await products.stop();
  assert.equal((await get(`${PATH}?n=0`)).status, 503);
  assert.equal((await get(`${PATH}?n=29`)).status, 200);
  let kept = 0;
  for (let n = 0; n < 30; n += 1) if ((await get(`${PATH}?n=${n}`)).status === 200) kept += 1;
  assert.ok(kept >= 15 && kept <= 20, `${kept} of 30`);
});
