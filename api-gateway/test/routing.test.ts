// Which paths there are, who answers them, and what happens on every other.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { routes } from '../src/http/routes.ts';
import { assertProblem, rawCall, startPlatform, type TestPlatform } from './harness.ts';

let platform: TestPlatform;
let admin: string;

before(async () => {
  platform = await startPlatform();
  admin = platform.keys.token(randomUUIDv7(), ['customer', 'admin']);
});
after(() => platform.stop());

for (const { method, path, upstream } of routes.filter((route) => route.upstream !== undefined))
  test(`${method.toUpperCase()} ${path}: reaches ${upstream} without /api`, async () => {
    const { gateway, upstreams } = platform;
    const asked = path.replace(/:\w+/g, () => randomUUIDv7());
    const inside = asked.replace('/api', '');
    const before = upstreams[upstream].seen.length;
    const reply = await gateway.call(method.toUpperCase(), asked, {
      token: admin,
      ...(method === 'get' || method === 'delete' ? {} : { body: { some: 'body' } }),
    });
    assert.equal(reply.status, 200);
    const seen = upstreams[upstream].seen.slice(before);
    assert.deepEqual(
      seen.map((request) => [request.method, request.url]),
      [[method.toUpperCase(), inside]],
    );
    if (method !== 'get' && method !== 'delete') assert.equal(seen[0]?.body, '{"some":"body"}');
  });

test('routing: the path and the query are passed on byte for byte', async () => {
  const { port } = platform.gateway;
  const reply = await rawCall(port, 'GET', '/api/v1/products?search=a%20b%2F+c&x=%zz&x=2');
  assert.equal(JSON.parse(reply.body).url, '/v1/products?search=a%20b%2F+c&x=%zz&x=2');
  const encoded = await rawCall(port, 'GET', '/api/v1/products/..%2f..%2fv1%2Fusers%3F');
  assert.equal(JSON.parse(encoded.body).url, '/v1/products/..%2f..%2fv1%2Fusers%3F');
});

test('routing: a target in absolute form goes to the service, not to the host it names', async () => {
  const reply = await rawCall(platform.gateway.port, 'GET', 'http://evil.example/api/v1/products?limit=1');
  assert.equal(reply.status, 200);
  assert.equal(JSON.parse(reply.body).url, '/v1/products?limit=1');
});

test('routing: HEAD is answered with the headers alone', async () => {
  const reply = await platform.gateway.call('HEAD', '/api/v1/products');
  assert.equal(reply.status, 200);
  assert.equal(reply.body, '');
  assert.equal(platform.upstreams['product-service'].seen.at(-1)?.method, 'HEAD');
});

test('routing: an unknown path is a 404, whatever the method and the token', async () => {
  const { gateway } = platform;
  for (const path of [
    '/',
    '/api',
    '/api/v1',
    '/v1/products',
    '/api/v2/products',
    '/api/v1/Products',
    '/metrics',
    '/api/v1/orders/a/b/c',
  ]) {
    assertProblem(
      await gateway.call('GET', path),
      404,
      'route.not-found',
      path.startsWith('/v1') ? `/api${path}` : path,
    );
    assertProblem(
      await gateway.call('DELETE', path, { token: 'x' }),
      404,
      'route.not-found',
      path.startsWith('/v1') ? `/api${path}` : path,
    );
  }
  for (const path of [
    '//evil.example/api/v1/products',
    '/api//v1/products',
    '/api/v1/../v1/products',
    '/api/v1/products/%zz',
  ])
    assert.equal((await rawCall(gateway.port, 'GET', path)).status, 404, path);
});

test('routing: a known path with another method is a 405 that names the allowed ones, before any other check', async () => {
  const { gateway } = platform;
  const allowed = async (method: string, path: string) => {
    const reply = await gateway.call(method, path);
    assertProblem(reply, 405, 'method.not-allowed', path);
    return reply.headers.get('allow');
  };
  const id = randomUUIDv7();
  assert.equal(await allowed('PUT', '/api/v1/orders'), 'GET, HEAD, POST');
  assert.equal(await allowed('POST', `/api/v1/products/${id}`), 'GET, HEAD, PATCH, DELETE');
  assert.equal(await allowed('OPTIONS', '/api/v1/users/me'), 'GET, HEAD, PATCH');
  assert.equal(await allowed('GET', '/api/v1/auth/login'), 'POST');
  assert.equal(await allowed('DELETE', '/health'), 'GET, HEAD');
});
