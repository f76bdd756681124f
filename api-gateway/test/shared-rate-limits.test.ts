// Rate limits that the copies of the gateway count together, and what is left of them while Redis is gone or hangs.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { afterEach, test } from 'node:test';
import type { Logger } from '@glasshouse/shared/logger';
import { waitFor } from '@glasshouse/shared/testing';
import type { Options } from 'express-rate-limit';
import { createSharedCounts } from '../src/clients/shared-counts.ts';
import { startGateway, startPlatform, startUpstream, type TestGateway } from './harness.ts';
import { createRedis, type TestRedis } from './redis.ts';

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const part of running.splice(0).reverse()) await part.stop();
});

async function redis(): Promise<TestRedis> {
  const created = await createRedis();
  running.push({
    async stop() {
      created.resume();
      await created.stop();
    },
  });
  return created;
}

/** Copies of the gateway, all before one product-service. */
async function copies(count: number, settings: Record<string, string>): Promise<TestGateway[]> {
  const products = await startUpstream();
  running.push(products);
  const started = await Promise.all(
    Array.from({ length: count }, () => startGateway({ PRODUCT_SERVICE_URL: products.url, ...settings })),
  );
  running.push(...started);
  return started;
}

const statusesOf = async (gateway: TestGateway, times: number) => {
  const statuses = [];
  for (let n = 0; n < times; n += 1) statuses.push((await gateway.call('GET', '/api/v1/products')).status);
  return statuses;
};

/** What a copy says is left of its limit. */
async function left(gateway: TestGateway): Promise<number> {
  const { headers } = await gateway.call('GET', '/api/v1/products');
  return Number(/r=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);
}

/** Both count together: what the one counts, the other sees. */
const countTogether = (one: TestGateway, other: TestGateway) =>
  waitFor('the copies count together', async () => {
    const before = await left(one);
    return (await left(other)) === before - 1 && (await left(one)) === before - 2;
  });

test('shared rate limits: the copies of the gateway count together, and tell the same', async () => {
  const server = await redis();
  await server.start();
  const [one, other] = await copies(2, { REDIS_URL: server.url, RATE_LIMIT_PER_MINUTE: '1000' });
  assert.ok(one && other);
  await countTogether(one, other);
  const remaining = await left(one);
  const [third] = await copies(1, { REDIS_URL: server.url, RATE_LIMIT_PER_MINUTE: '1000' });
  assert.ok(third);
  await waitFor('a copy that has just started knows of it', async () => (await left(third)) < remaining);
  const [strict] = await copies(1, { REDIS_URL: server.url, RATE_LIMIT_PER_MINUTE: '3' });
  assert.ok(strict);
  await waitFor('over the limit together', async () => (await statusesOf(strict, 1))[0] === 429);
});

test('shared rate limits: of register, login and refresh too, apart from the general one', async () => {
  const server = await redis();
  await server.start();
  const settings = { REDIS_URL: server.url, RATE_LIMIT_PER_MINUTE: '1000', AUTH_RATE_LIMIT_PER_MINUTE: '4' };
  const one = await startPlatform(settings);
  const other = await startPlatform(settings);
  running.push(one, other);
  await countTogether(one.gateway, other.gateway);
  const statuses = [];
  for (let n = 0; n < 3; n += 1)
    for (const { gateway } of [one, other])
      statuses.push((await gateway.call('POST', '/api/v1/auth/login', { body: {} })).status);
  assert.deepEqual(statuses, [200, 200, 200, 200, 429, 429]);
  const token = one.keys.token(randomUUIDv7());
  assert.equal((await one.gateway.call('GET', '/api/v1/orders', { token })).status, 200);
});

test('shared rate limits: without Redis each copy counts for itself, from the start and when it goes, and together again when it comes', async () => {
  const server = await redis();
  const [one, other] = await copies(2, { REDIS_URL: server.url, RATE_LIMIT_PER_MINUTE: '1000' });
  assert.ok(one && other);
  assert.deepEqual(await statusesOf(one, 3), [200, 200, 200]);
  assert.equal(await left(one), 996);
  assert.equal(await left(other), 999, 'for itself');

  await server.start();
  await countTogether(one, other);

  await server.stop();
  assert.deepEqual(await statusesOf(one, 20), Array(20).fill(200));
  const mine = await left(one);
  await statusesOf(other, 5);
  assert.equal(await left(one), mine - 1, 'for itself again');

  await server.start();
  await countTogether(one, other);
});

test('shared rate limits: a limit still holds in each copy while Redis is gone', async () => {
  const server = await redis();
  const [one, other] = await copies(2, { REDIS_URL: server.url, RATE_LIMIT_PER_MINUTE: '3' });
  assert.ok(one && other);
  assert.deepEqual(await statusesOf(one, 5), [200, 200, 200, 429, 429]);
  assert.deepEqual(await statusesOf(other, 4), [200, 200, 200, 429]);
});

test('shared rate limits: a Redis that hangs fails nothing and holds nobody up for long', async () => {
  const server = await redis();
  await server.start();
  const [one, other] = await copies(2, { REDIS_URL: server.url, RATE_LIMIT_PER_MINUTE: '1000' });
  assert.ok(one && other);
  await countTogether(one, other);
  server.hang();
  const startedAt = performance.now();
  assert.deepEqual(await statusesOf(one, 50), Array(50).fill(200));
  const took = performance.now() - startedAt;
  assert.ok(took < 8_000, `50 calls took ${took} ms: the circuit opens after a few`);
  server.resume();
  await countTogether(one, other);
});

test('shared rate limits: each outage is one line in the log, and so is its end', async () => {
  const server = await redis();
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const counts = createSharedCounts({
    url: server.url,
    logger: { warn: log, info: log, error: log, debug: log } as unknown as Logger,
  });
  running.push(counts);
  const store = counts.storeOf('test');
  store.init?.({ windowMs: 60_000 } as Options);
  await counts.start();
  for (let n = 0; n < 20; n += 1) await store.increment('key');
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /^Redis is gone/);
  await server.start();
  await waitFor('together again', async () => {
    await store.increment('key');
    return lines.length > 1;
  });
  await server.stop();
  for (let n = 0; n < 20; n += 1) await store.increment('key');
  assert.equal(lines.length, 3, lines.join('\n'));
});
