// How often one may call, counted for whom, and what the answers say of it.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import type { Reply } from '@glasshouse/shared/testing';
import { assertProblem, rawCall, startPlatform } from './harness.ts';

function assertLimited(reply: Reply, path: string): void {
  assertProblem(reply, 429, 'rate-limit.exceeded', path);
  const seconds = Number(reply.headers.get('retry-after'));
  assert.ok(seconds >= 1 && seconds <= 60, `retry-after ${seconds}`);
}

test('rateLimits: each answer tells the policy and what is left, in the form of draft 8', async (t) => {
  const { gateway, stop } = await startPlatform({ RATE_LIMIT_PER_MINUTE: '5' });
  t.after(stop);
  for (const left of [4, 3]) {
    const { headers } = await gateway.call('GET', '/api/v1/products');
    assert.match(headers.get('ratelimit-policy') ?? '', /^"5-in-1min"; q=5; w=60; pk=:[\w+/=]+:$/);
    assert.match(headers.get('ratelimit') ?? '', new RegExp(`^"5-in-1min"; r=${left}; t=\\d+$`));
    assert.equal(headers.get('x-ratelimit-limit'), null);
  }
});

test('rateLimits: the request over the limit is a 429 that no service sees', async (t) => {
  const { gateway, upstreams, stop } = await startPlatform({ RATE_LIMIT_PER_MINUTE: '5' });
  t.after(stop);
  for (let n = 0; n < 5; n += 1) assert.equal((await gateway.call('GET', '/api/v1/products')).status, 200);
  assertLimited(await gateway.call('GET', '/api/v1/products'), '/api/v1/products');
  assertLimited(await gateway.call('GET', '/api/v1/categories'), '/api/v1/categories');
  assert.equal(upstreams['product-service'].seen.length, 5);
});

test('rateLimits: the document and its page count as every other path', async (t) => {
  const { gateway, stop } = await startPlatform({ RATE_LIMIT_PER_MINUTE: '3' });
  t.after(stop);
  for (const path of ['/api/openapi.json', '/api/docs', '/api/docs/swagger-ui.css'])
    assert.equal((await gateway.call('GET', path)).status, 200);
  for (const path of ['/api/openapi.json', '/api/docs', '/api/docs/swagger-ui.css', '/api/v1/products'])
    assertLimited(await gateway.call('GET', path), path);
});

test('rateLimits: a signed-in user is counted alone, wherever the calls go; all others of an address together', async (t) => {
  const { gateway, keys, stop } = await startPlatform({ RATE_LIMIT_PER_MINUTE: '3' });
  t.after(stop);
  const [alice, bob] = [keys.token(randomUUIDv7()), keys.token(randomUUIDv7())];
  const statuses = async (token?: string) => {
    const replies = [];
    for (const path of ['/api/v1/orders', '/api/v1/products', '/api/v1/orders', '/api/v1/products'])
      replies.push((await gateway.call('GET', path, token === undefined ? {} : { token })).status);
    return replies;
  };
  assert.deepEqual(await statuses(alice), [200, 200, 200, 429]);
  assert.deepEqual(await statuses(bob), [200, 200, 200, 429], 'another user has a count of their own');
  assert.deepEqual(await statuses(), [401, 200, 401, 429], 'and so has the address');
  assert.deepEqual(await statuses('garbage'), [429, 429, 429, 429], 'a bad token counts for the address');
});

test('rateLimits: the limit comes before the token and the role, and after the path and the method', async (t) => {
  const { gateway, keys, stop } = await startPlatform({ RATE_LIMIT_PER_MINUTE: '1' });
  t.after(stop);
  const token = keys.token(randomUUIDv7());
  assert.equal((await gateway.call('POST', '/api/v1/products', { token, body: {} })).status, 403);
  assertLimited(await gateway.call('POST', '/api/v1/products', { token, body: {} }), '/api/v1/products');
  assert.equal((await gateway.call('GET', '/api/v1/orders')).status, 401);
  assertLimited(await gateway.call('GET', '/api/v1/orders'), '/api/v1/orders');
  assert.equal((await gateway.call('GET', '/nothing')).status, 404);
  assert.equal((await gateway.call('PUT', '/api/v1/orders')).status, 405);
  for (const path of ['/health', '/ready']) assert.equal((await gateway.call('GET', path)).status, 200);
});

test('rateLimits: what a client says of its address does not help it', async (t) => {
  const { gateway, stop } = await startPlatform({ AUTH_RATE_LIMIT_PER_MINUTE: '3' });
  t.after(stop);
  const statuses = [];
  for (let n = 0; n < 5; n += 1)
    statuses.push(
      (
        await rawCall(gateway.port, 'POST', '/api/v1/auth/login', {
          'x-forwarded-for': `10.0.0.${n}`,
          forwarded: `for=10.0.0.${n}`,
          'x-real-ip': `10.0.0.${n}`,
        })
      ).status,
    );
  assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
});

test('rateLimits: behind a trusted proxy, IPv4 addresses count each, IPv6 addresses by their /56', async (t) => {
  const { gateway, stop } = await startPlatform({ AUTH_RATE_LIMIT_PER_MINUTE: '1', TRUSTED_PROXY_HOPS: '1' });
  t.after(stop);
  const status = async (address: string) =>
    (await rawCall(gateway.port, 'POST', '/api/v1/auth/login', { 'x-forwarded-for': address })).status;
  assert.equal(await status('203.0.113.1'), 200);
  assert.equal(await status('203.0.113.2'), 200);
  assert.equal(await status('203.0.113.1'), 429);
  assert.equal(await status('::ffff:203.0.113.2'), 429);
  assert.equal(await status('2001:db8:0:100::1'), 200);
  assert.equal(await status('2001:db8:0:1ff:ffff::2'), 429, 'the same /56');
  assert.equal(await status('2001:db8:0:200::1'), 200, 'the next one');
  for (const [address, port] of [
    ['203.0.113.1', '203.0.113.1:50123'],
    ['[2001:db8:0:100::7]', '[2001:db8:0:100::7]:50123'],
  ] as const)
    for (const named of [address, port]) assert.equal(await status(named), 429, `${named}: the same client`);
  assert.equal(await status('unknown'), 200);
  assert.equal(await status('hidden, 999.1.1.1'), 429, 'who is not named counts as the proxy');
});

test('rateLimits: register, login and refresh share a limit for each address, whoever is signed in; logout has the general one', async (t) => {
  const { gateway, keys, stop } = await startPlatform({
    RATE_LIMIT_PER_MINUTE: '100',
    AUTH_RATE_LIMIT_PER_MINUTE: '3',
  });
  t.after(stop);
  const token = keys.token(randomUUIDv7());
  for (const path of ['register', 'login', 'refresh'])
    assert.equal((await gateway.call('POST', `/api/v1/auth/${path}`, { body: {} })).status, 200);
  for (const path of ['register', 'login', 'refresh'])
    assertLimited(await gateway.call('POST', `/api/v1/auth/${path}`, { body: {}, token }), `/api/v1/auth/${path}`);
  const logout = await gateway.call('POST', '/api/v1/auth/logout', { body: {} });
  assert.match(logout.headers.get('ratelimit-policy') ?? '', /q=100/);
});

test('rateLimits: 0 means no limit and no header, each for itself', async (t) => {
  const { gateway, stop } = await startPlatform({ RATE_LIMIT_PER_MINUTE: '0', AUTH_RATE_LIMIT_PER_MINUTE: '1' });
  t.after(stop);
  for (let n = 0; n < 50; n += 1) {
    const { status, headers } = await gateway.call('GET', '/api/v1/products');
    assert.equal(status, 200);
    assert.equal(headers.get('ratelimit'), null);
  }
  assert.equal((await gateway.call('POST', '/api/v1/auth/login', { body: {} })).status, 200);
  assert.equal((await gateway.call('POST', '/api/v1/auth/login', { body: {} })).status, 429);
});
