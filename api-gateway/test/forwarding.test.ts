// What a service sees of a request, and a client of an answer: headers, bodies, and where each may end.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { request as startRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { answer, assertProblem, echo, rawCall, startGateway, startPlatform, type TestPlatform } from './harness.ts';

let platform: TestPlatform;

before(async () => {
  platform = await startPlatform();
});
after(() => platform.stop());

const get = async (headers: Record<string, string | string[]> = {}) => {
  const reply = await rawCall(platform.gateway.port, 'GET', '/api/v1/products', headers);
  return { ...reply, seen: JSON.parse(reply.body).headers as Record<string, string> };
};

test('forwarding: headers that claim an identity or an origin never pass in from outside', async () => {
  const spoofed = {
    'X-User-Id': randomUUIDv7(),
    'x-user-roles': 'admin',
    'x-user': 'admin',
    'X-User_Id': 'admin',
    'x-roles': 'admin',
    'x-role': 'admin',
    'x-authenticated-userid': 'admin',
    'x-authenticated': 'true',
    'x-auth-request-user': 'admin',
    'x-remote-user': 'admin',
    'remote-user': 'admin',
    remote_user: 'admin',
    'x-identity': 'admin',
    'x-client-cert': 'admin',
    'x-client-ip': '10.0.0.1',
    'x-real-ip': '10.0.0.1',
    'x-forwarded-user': 'admin',
    'x-forwarded-prefix': '/admin',
    'x-original-url': '/v1/users',
    'x-rewrite-url': '/v1/users',
    forwarded: 'for=10.0.0.1',
  };
  const { seen } = await get({
    ...spoofed,
    'x-forwarded-for': '10.0.0.1',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
    'x-custom': 'kept',
  });
  for (const name of Object.keys(spoofed)) assert.equal(seen[name.toLowerCase()], undefined, name);
  assert.equal(seen['x-forwarded-for'], '127.0.0.1');
  assert.equal(seen['x-forwarded-proto'], 'http');
  assert.equal(seen['x-forwarded-host'], `127.0.0.1:${platform.gateway.port}`);
  assert.equal(seen['x-custom'], 'kept');
});

test('forwarding: behind a trusted proxy, the last hop it names is the client', async (t) => {
  const behind = await startGateway({
    PRODUCT_SERVICE_URL: platform.upstreams['product-service'].url,
    TRUSTED_PROXY_HOPS: '1',
  });
  t.after(behind.stop);
  const { body } = await rawCall(behind.port, 'GET', '/api/v1/products', {
    'x-forwarded-for': '10.9.9.9, 203.0.113.7',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'shop.example',
  });
  const { headers } = JSON.parse(body);
  assert.equal(headers['x-forwarded-for'], '203.0.113.7');
  assert.equal(headers['x-forwarded-proto'], 'https');
  assert.equal(headers['x-forwarded-host'], 'shop.example');
});

test('forwarding: a service gets a bare address of the client, whatever the trusted proxy writes', async (t) => {
  const behind = await startGateway({
    USER_SERVICE_URL: platform.upstreams['user-service'].url,
    TRUSTED_PROXY_HOPS: '1',
  });
  t.after(behind.stop);
  for (const [written, told] of [
    ['203.0.113.7:50123', '203.0.113.7'],
    ['[2001:db8::7]:50123', '2001:db8::7'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['2001:db8::7', '2001:db8::7'],
    ['unknown', '127.0.0.1'],
    ['203.0.113.7:x', '127.0.0.1'],
  ] as const) {
    // Logins are slowed down by this address.
    const { body } = await rawCall(behind.port, 'POST', '/api/v1/auth/login', { 'x-forwarded-for': written });
    assert.equal(JSON.parse(body).headers['x-forwarded-for'], told, written);
  }
});

test('forwarding: a good request id is taken, passed on and returned; one that is missing or bad is made', async () => {
  const returned = async (headers: Record<string, string>) => {
    const { headers: got, rawHeaders, seen } = await get(headers);
    assert.equal(rawHeaders.filter((name) => name.toLowerCase() === 'x-request-id').length, 1, 'once');
    assert.equal(got['x-request-id'], seen['x-request-id']);
    assert.equal(seen['x-correlation-id'], undefined);
    return seen['x-request-id'];
  };
  assert.equal(await returned({ 'x-request-id': 'My.request_1-a' }), 'My.request_1-a');
  assert.equal(await returned({ 'x-correlation-id': 'by-its-other-name' }), 'by-its-other-name');
  assert.equal(await returned({ 'x-request-id': 'a'.repeat(128) }), 'a'.repeat(128));
  for (const bad of ['', 'a'.repeat(129), 'two words', 'a/b', 'ü'])
    assert.match((await returned({ 'x-request-id': bad })) ?? '', /^[0-9a-f]{32}$/, bad);
  const { body, headers } = await rawCall(platform.gateway.port, 'GET', '/nothing', {
    'x-request-id': 'also-on-errors',
  });
  assert.equal(JSON.parse(body).status, 404);
  assert.equal(headers['x-request-id'], 'also-on-errors');
});

test('forwarding: an upstream that returns another request id or none does not change ours', async () => {
  const products = platform.upstreams['product-service'];
  products.behave(answer(200, {}, { 'x-request-id': 'theirs' }));
  const { headers } = await rawCall(platform.gateway.port, 'GET', '/api/v1/products', { 'x-request-id': 'ours' });
  assert.equal(headers['x-request-id'], 'ours');
  products.behave(echo);
});

test('forwarding: a trace goes on, with a span of the gateway’s own; a malformed one starts anew', async () => {
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  const { seen } = await get({ traceparent: `00-${traceId}-b7ad6b7169203331-01` });
  assert.match(seen.traceparent ?? '', new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
  assert.ok(!seen.traceparent?.includes('b7ad6b7169203331'));
  const { seen: anew } = await get({ traceparent: 'nonsense' });
  assert.match(anew.traceparent ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});

test('forwarding: headers of one connection stay on it, and those that Connection names with them', async () => {
  const { seen } = await get({
    connection: 'close, x-secret-hop, content-type, x-request-id',
    'x-secret-hop': '1',
    te: 'trailers',
    'proxy-authorization': 'Basic x',
    'proxy-connection': 'close',
    'keep-alive': 'timeout=1',
    upgrade: 'h2c',
    'content-type': 'application/json',
  });
  for (const name of ['x-secret-hop', 'te', 'proxy-authorization', 'proxy-connection', 'keep-alive', 'upgrade'])
    assert.equal(seen[name], undefined, name);
  assert.equal(seen.connection, 'keep-alive');
  assert.equal(seen['content-type'], 'application/json');
  assert.ok(seen['x-request-id']);
});

test('forwarding: a body keeps its frame, whatever Connection names', async () => {
  for (const method of ['GET', 'DELETE', 'POST']) {
    const { body } = await rawCall(
      platform.gateway.port,
      method,
      method === 'DELETE'
        ? `/api/v1/products/${randomUUIDv7()}`
        : method === 'GET'
          ? '/api/v1/products'
          : '/api/v1/auth/logout',
      {
        connection: 'content-length, transfer-encoding, authorization',
        authorization: `Bearer ${platform.keys.token(randomUUIDv7(), ['admin'])}`,
        'content-length': 5,
      },
      'a b c',
    );
    assert.equal(JSON.parse(body).body, 'a b c', method);
  }
});

test('forwarding: a body in chunks arrives whole', async () => {
  const { body } = await rawCall(
    platform.gateway.port,
    'POST',
    '/api/v1/auth/logout',
    { 'transfer-encoding': 'chunked', 'content-type': 'application/json' },
    JSON.stringify({ refreshToken: 'x'.repeat(50_000) }),
  );
  assert.equal(JSON.parse(JSON.parse(body).body).refreshToken.length, 50_000);
});

test('forwarding: an answer keeps its status and headers, and the gateway’s connection is its own', async () => {
  const products = platform.upstreams['product-service'];
  products.behave((_seen, response) => {
    response.writeHead(418, 'Teapot', {
      'content-type': 'text/plain',
      etag: '"1"',
      'cache-control': 'no-store',
      'set-cookie': ['a=1', 'b=2'],
      connection: 'close',
      'proxy-authenticate': 'Basic',
    });
    response.end('short and stout');
  });
  const reply = await rawCall(platform.gateway.port, 'GET', '/api/v1/products', { connection: 'keep-alive' });
  products.behave(echo);
  assert.equal(reply.status, 418);
  assert.equal(reply.body, 'short and stout');
  assert.equal(reply.headers.etag, '"1"');
  assert.equal(reply.headers['cache-control'], 'no-store');
  assert.deepEqual(reply.headers['set-cookie'], ['a=1', 'b=2']);
  assert.equal(reply.headers.connection, 'keep-alive');
  assert.equal(reply.headers['proxy-authenticate'], undefined);
  assert.equal(reply.headers['x-content-type-options'], 'nosniff');
  assert.equal(reply.headers['x-powered-by'], undefined);
});

test('forwarding: answers without a body, and HEAD, leave the connection in order', async () => {
  const products = platform.upstreams['product-service'];
  const { gateway } = platform;
  products.behave((_seen, response) => response.writeHead(204).end());
  const token = platform.keys.token(randomUUIDv7(), ['admin']);
  for (let n = 0; n < 3; n += 1)
    assert.equal((await gateway.call('DELETE', `/api/v1/products/${randomUUIDv7()}`, { token })).status, 204);
  products.behave((_seen, response) => response.writeHead(304, { etag: '"1"' }).end());
  assert.equal((await gateway.call('GET', '/api/v1/products')).status, 304);
  products.behave(echo);
  const head = await gateway.call('HEAD', '/api/v1/products');
  assert.ok(Number(head.headers.get('content-length')) > 0);
  assert.equal((await gateway.call('GET', '/api/v1/products')).status, 200);
});

test('forwarding: connections to a service are used again', async () => {
  const ports = new Set<number | undefined>();
  const products = platform.upstreams['product-service'];
  products.behave((_seen, response, request) => {
    ports.add(request.socket.remotePort);
    response.end();
  });
  for (let n = 0; n < 10; n += 1) await platform.gateway.call('GET', '/api/v1/products');
  products.behave(echo);
  assert.equal(ports.size, 1);
});

test('forwarding: a body over 100 kB is a 413, after the token, and the service never sees it', async () => {
  const { gateway, upstreams, keys } = platform;
  const token = keys.token(randomUUIDv7());
  const seen = () => upstreams['order-service'].seen.length;
  const before = seen();
  const body = 'x'.repeat(100_000);
  assertProblem(await gateway.call('POST', '/api/v1/orders', { body, token }), 413, 'body.too-large', '/api/v1/orders');
  assertProblem(await gateway.call('POST', '/api/v1/orders', { body }), 401, 'token.missing', '/api/v1/orders');
  assertProblem(
    await gateway.call('POST', '/api/v1/orders', { body: 'x'.repeat(5_000_000), token }),
    413,
    'body.too-large',
    '/api/v1/orders',
  );
  const headers = { 'content-type': 'text/plain' };
  assertProblem(
    await gateway.call('POST', '/api/v1/orders', { body, token, headers }),
    415,
    'body.unsupported-type',
    '/api/v1/orders',
  );
  assert.equal(seen(), before);
  const most = await gateway.call('POST', '/api/v1/orders', { body: 'x'.repeat(99_998), token });
  assert.equal(most.status, 200, 'exactly 100 kB');
  assert.equal(most.body.body.length, 100_000);
});

test('forwarding: a body of unknown length is cut at 100 kB, and no circuit hears of it', async () => {
  const { gateway } = platform;
  for (let n = 0; n < 8; n += 1) {
    const reply = await rawCall(
      gateway.port,
      'POST',
      '/api/v1/auth/logout',
      { 'transfer-encoding': 'chunked' },
      'x'.repeat(300_000),
    );
    assert.equal(reply.status, 413);
    assert.equal(JSON.parse(reply.body).code, 'body.too-large');
  }
  assert.equal((await gateway.call('GET', '/ready')).body['user-service'], 'closed');
  assert.equal((await gateway.call('POST', '/api/v1/auth/logout', { body: {} })).status, 200);
});

test('forwarding: a client that expects 100-continue gets it from the gateway', async () => {
  const request = startRequest({
    port: platform.gateway.port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/api/v1/auth/logout',
    headers: { expect: '100-continue', 'content-length': 2 },
    agent: false,
  });
  const done = new Promise<string>((resolve, reject) => {
    request.on('error', reject);
    request.on('continue', () => request.end('{}'));
    request.on('response', (response) => text(response).then(resolve, reject));
  });
  request.flushHeaders();
  const echoed = JSON.parse(await done);
  assert.equal(echoed.body, '{}');
  assert.equal(echoed.headers.expect, undefined);
});
