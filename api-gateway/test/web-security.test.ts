// What browsers are told, which pages may call, what is compressed, and how large an answer may be.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { loadConfig } from '../src/config.ts';
import { answer, assertProblem, echo, rawBytes, rawCall, startPlatform, type TestPlatform } from './harness.ts';

const PATH = '/api/v1/products';
const SHOP = 'https://shop.example';

let platform: TestPlatform;
let open: TestPlatform;

before(async () => {
  [platform, open] = await Promise.all([
    startPlatform({ UPSTREAM_MAX_ANSWER_BYTES: '50000' }),
    startPlatform({
      CORS_ORIGINS: `${SHOP}, http://localhost:5173`,
      TRUSTED_PROXY_HOPS: '1',
      HSTS_MAX_AGE_S: '31536000',
    }),
  ]);
});
after(() => Promise.all([platform.stop(), open.stop()]));

test('security headers: on answers and on errors; nothing in an answer is a page', async () => {
  for (const path of [PATH, '/nothing', '/api/v1/orders']) {
    const { headers } = await platform.gateway.call('GET', path);
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    assert.equal(headers.get('content-security-policy'), "default-src 'none'; frame-ancestors 'none'", path);
    assert.equal(headers.get('referrer-policy'), 'no-referrer', path);
    assert.equal(headers.get('x-powered-by'), null);
    assert.equal(headers.get('strict-transport-security'), null);
    if (path !== PATH) assert.equal(headers.get('cache-control'), 'no-store', path);
  }
});

test('security headers: who answers with a page of its own has its own policy', async () => {
  const products = platform.upstreams['product-service'];
  products.behave(answer(200, {}, { 'content-security-policy': "default-src 'self'" }));
  const { headers } = await platform.gateway.call('GET', PATH);
  products.behave(echo);
  assert.equal(headers.get('content-security-policy'), "default-src 'self'");
});

test('security headers: Strict-Transport-Security where it is wanted, and over TLS only', async () => {
  const over = async (proto: string) =>
    (
      await open.gateway.call('GET', PATH, {
        headers: { 'x-forwarded-proto': proto, 'x-forwarded-for': '203.0.113.1' },
      })
    ).headers;
  assert.equal((await over('https')).get('strict-transport-security'), 'max-age=31536000');
  assert.equal((await over('http')).get('strict-transport-security'), null);
});

test('CORS: without a setting no page may call, and OPTIONS is a 405', async () => {
  const headers = { origin: SHOP, 'access-control-request-method': 'GET' };
  const reply = await platform.gateway.call('OPTIONS', PATH, { headers });
  assertProblem(reply, 405, 'method.not-allowed', PATH);
  assert.equal(reply.headers.get('access-control-allow-origin'), null);
  const { headers: got } = await platform.gateway.call('GET', PATH, { headers });
  assert.equal(got.get('access-control-allow-origin'), null);
});

test('CORS: the pages that are named may call, with a token, without cookies, and read what they need', async () => {
  const headers = {
    origin: SHOP,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type,idempotency-key',
  };
  const preflight = await open.gateway.call('OPTIONS', '/api/v1/orders', { headers });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), SHOP);
  assert.equal(preflight.headers.get('access-control-allow-credentials'), null);
  for (const name of ['authorization', 'content-type', 'idempotency-key'])
    assert.ok(preflight.headers.get('access-control-allow-headers')?.includes(name), name);
  assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /POST/);
  for (const [path, status] of [
    [PATH, 200],
    ['/api/v1/orders', 401],
  ] as const) {
    const reply = await open.gateway.call('GET', path, { headers: { origin: SHOP } });
    assert.equal(reply.status, status);
    assert.equal(reply.headers.get('access-control-allow-origin'), SHOP);
    assert.match(reply.headers.get('access-control-expose-headers') ?? '', /retry-after/);
    assert.match(reply.headers.get('vary') ?? '', /Origin/i);
  }
});

test('CORS: only a page that asks first is answered so, and only at a path that there is; any other OPTIONS is a method like others', async () => {
  const asks = { origin: SHOP, 'access-control-request-method': 'GET' };
  const options = (path: string, headers: Record<string, string> = {}) =>
    open.gateway.call('OPTIONS', path, { headers });
  const one = `${PATH}/${randomUUIDv7()}`;
  for (const path of [PATH, one, '/api/v1/orders/7/overview', '/.well-known/jwks.json'])
    assert.equal((await options(path, asks)).status, 204, path);
  for (const path of ['/api/v1/nothing', '/nothing'])
    assertProblem(await options(path, asks), 404, 'route.not-found', path);
  assert.equal((await rawCall(open.gateway.port, 'OPTIONS', '/api/v1/orders/%2e%2e', asks)).status, 404);
  for (const headers of [{}, { origin: SHOP }, { 'access-control-request-method': 'GET' }]) {
    const reply = await options(one, headers);
    assertProblem(reply, 405, 'method.not-allowed', one);
    assert.equal(reply.headers.get('allow'), 'GET, HEAD, PATCH, DELETE');
    assertProblem(await options('/api/v1/nothing', headers), 404, 'route.not-found', '/api/v1/nothing');
  }
});

test('CORS: a page that is not named gets no permission, whatever a service says', async () => {
  const products = open.upstreams['product-service'];
  products.behave(answer(200, {}, { 'access-control-allow-origin': '*', vary: 'accept' }));
  for (const origin of ['https://evil.example', 'null', 'https://shop.example.evil.example', 'http://shop.example']) {
    const { headers } = await open.gateway.call('GET', PATH, { headers: { origin } });
    assert.equal(headers.get('access-control-allow-origin'), null, origin);
    assert.match(headers.get('vary') ?? '', /Origin/i);
    assert.match(headers.get('vary') ?? '', /accept/i, 'the service’s own is still there');
  }
  products.behave(echo);
});

test('CORS_ORIGINS: anything but origins is refused at the start', () => {
  for (const wrong of ['*', 'shop.example', 'https://shop.example/', 'https://shop.example,*', 'ftp://shop.example'])
    assert.throws(() => loadConfig({ CORS_ORIGINS: wrong }), /CORS_ORIGINS/, wrong);
  assert.deepEqual(loadConfig({ CORS_ORIGINS: SHOP }).CORS_ORIGINS, [SHOP]);
});

test('compression: JSON from 1 kB on, as the client can read it', async () => {
  const products = platform.upstreams['product-service'];
  const body = { text: 'a kettle '.repeat(500) };
  products.behave(answer(200, body));
  const get = (encoding: string) => rawBytes(platform.gateway.port, PATH, { 'accept-encoding': encoding });
  const zipped = await get('gzip');
  assert.equal(zipped.headers['content-encoding'], 'gzip');
  assert.match(String(zipped.headers.vary), /accept-encoding/i);
  assert.deepEqual(JSON.parse(gunzipSync(zipped.body).toString()), body);
  assert.ok(zipped.body.length < 500);
  const brotli = await get('br');
  assert.deepEqual(JSON.parse(brotliDecompressSync(brotli.body).toString()), body);
  const plain = await get('identity');
  assert.equal(plain.headers['content-encoding'], undefined);
  assert.deepEqual(JSON.parse(plain.body.toString()), body);
  products.behave((_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 2 });
    response.end('{}');
  });
  assert.equal((await get('gzip')).headers['content-encoding'], undefined, 'too small');
  products.behave(answer(503));
  const copy = await get('gzip');
  assert.equal(copy.headers.age !== undefined, true);
  assert.equal(copy.body.toString(), '{}');
  products.behave(echo);
});

test('compression: never where tokens are in the answer', async () => {
  const users = platform.upstreams['user-service'];
  users.behave(answer(200, { accessToken: 'x'.repeat(3_000) }));
  for (const path of ['register', 'login', 'refresh']) {
    const { headers } = await platform.gateway.call('POST', `/api/v1/auth/${path}`, {
      body: {},
      headers: { 'accept-encoding': 'gzip, br' },
    });
    assert.equal(headers.get('content-encoding'), null, path);
  }
  users.behave(echo);
});

test('compression: an answer that breaks off is seen to be broken', async () => {
  const products = platform.upstreams['product-service'];
  products.behave((_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write(`"${'x'.repeat(30_000)}`, () => response.destroy());
  });
  await assert.rejects(rawBytes(platform.gateway.port, `${PATH}?broken`, { 'accept-encoding': 'gzip' }));
  products.behave(echo);
});

test('answers: one over the limit is a 502, is cut off where its length was not told, and opens no circuit', async () => {
  const products = platform.upstreams['product-service'];
  const body = JSON.stringify('x'.repeat(60_000));
  products.behave((_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  });
  for (let n = 0; n < 8; n += 1)
    assertProblem(await platform.gateway.call('GET', PATH), 502, 'upstream.answer-too-large', PATH);
  const head = await rawCall(platform.gateway.port, 'HEAD', PATH);
  assert.equal(head.status, 200, 'HEAD has no body');
  products.behave((_seen, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(body);
  });
  await assert.rejects(rawCall(platform.gateway.port, 'GET', PATH), /aborted|socket hang up/);
  const orders = platform.upstreams['order-service'];
  orders.behave(answer(200, { text: body }));
  const path = `/api/v1/orders/${randomUUIDv7()}/overview`;
  const token = platform.keys.token(randomUUIDv7());
  assertProblem(await platform.gateway.call('GET', path, { token }), 502, 'upstream.answer-too-large', path);
  orders.behave(echo);
  products.behave(answer(200, 'x'.repeat(49_998)));
  assert.equal((await platform.gateway.call('GET', `${PATH}?fits`)).status, 200);
  const { body: ready } = await platform.gateway.call('GET', '/ready');
  assert.equal(ready['product-service'], 'closed');
  products.behave(echo);
});
