// What the gateway answers instead of a service that is gone or silent, or to whoever calls too often: the same for every call that it offers.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import { routes } from '../src/http/routes.ts';
import { assertProblem, hang, startPlatform, type TestPlatform } from './harness.ts';

const calls = routes.map(({ method, path }) => ({
  method: method.toUpperCase(),
  path: path.replaceAll(/:\w+/g, () => randomUUIDv7()),
}));

/** Calls with all that the gateway asks for. */
function createCaller({ gateway, keys }: TestPlatform) {
  const token = keys.token(randomUUIDv7(), ['customer', 'admin']);
  return (method: string, path: string) =>
    gateway.call(method, path, { token, ...(['POST', 'PATCH'].includes(method) && { body: {} }) });
}

async function stopServices({ upstreams }: TestPlatform): Promise<void> {
  await Promise.all(Object.values(upstreams).map((upstream) => upstream.stop()));
}

test('every call: when its service is gone, is a 503 that says when to try again', async (t) => {
  const platform = await startPlatform();
  t.after(platform.stop);
  const call = createCaller(platform);
  await stopServices(platform);
  for (const { method, path } of calls) assertProblem(await call(method, path), 503, 'upstream.unavailable', path);
});

test('every call: when its service does not answer in time, is a 504', async (t) => {
  const platform = await startPlatform({ UPSTREAM_TIMEOUT_MS: '50', UPSTREAM_BREAKER_RESET_MS: '1' });
  t.after(platform.stop);
  const call = createCaller(platform);
  for (const upstream of Object.values(platform.upstreams)) upstream.behave(hang);
  for (const { method, path } of calls)
    await waitFor(`${method} ${path} times out`, async () => {
      // After a few of these its circuit is open for a moment.
      const reply = await call(method, path);
      if (reply.status === 503) return false;
      assertProblem(reply, 504, 'upstream.timeout', path);
      return true;
    });
});

test('every call: when its service says more than is passed on, is a 502', async (t) => {
  const platform = await startPlatform({ UPSTREAM_MAX_ANSWER_BYTES: '10' });
  t.after(platform.stop);
  const call = createCaller(platform);
  for (const { method, path } of calls) assertProblem(await call(method, path), 502, 'upstream.answer-too-large', path);
});

test('every call: over the limit, is a 429 that no service sees', async (t) => {
  const platform = await startPlatform({ RATE_LIMIT_PER_MINUTE: '1', AUTH_RATE_LIMIT_PER_MINUTE: '1' });
  t.after(platform.stop);
  const call = createCaller(platform);
  for (const { method, path } of calls) await call(method, path);
  const seen = () => Object.values(platform.upstreams).flatMap((upstream) => upstream.seen).length;
  const before = seen();
  for (const { method, path } of calls) assertProblem(await call(method, path), 429, 'rate-limit.exceeded', path);
  assert.equal(seen(), before);
});
