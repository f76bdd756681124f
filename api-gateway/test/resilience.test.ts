// What a client gets while services fail: circuits, time-outs, other copies, and nothing sent twice.
import assert from 'node:assert/strict';
import { request as startRequest } from 'node:http';
import { createServer, type Server } from 'node:net';
import { afterEach, test } from 'node:test';
import { DRAIN_MS } from '@glasshouse/shared/process';
import { waitFor } from '@glasshouse/shared/testing';
import {
  answer,
  assertProblem,
  breakOff,
  echo,
  hang,
  rawCall,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from './harness.ts';

const PATH = '/api/v1/products';
const LOGOUT = '/api/v1/auth/logout';
const ENOUGH_TO_OPEN = 5;
/** How long a circuit stays open where a test has to see that it is. */
const LONG_ENOUGH_TO_SEE_MS = '3000';

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const part of running.splice(0).reverse()) await part.stop();
});

async function upstream(): Promise<TestUpstream> {
  const started = await startUpstream();
  running.push(started);
  return started;
}

/** A gateway before copies of product-service, which also play user-service; a busy machine does not make it give up on them. */
async function gatewayTo(copies: { url: string }[], settings: Record<string, string> = {}): Promise<TestGateway> {
  const urls = copies.map(({ url }) => url).join(',');
  const started = await startGateway({
    PRODUCT_SERVICE_URL: urls,
    USER_SERVICE_URL: urls,
    UPSTREAM_TIMEOUT_MS: '60000',
    UPSTREAM_BREAKER_RESET_MS: '300',
    ...settings,
  });
  running.push(started);
  return started;
}

const circuit = async (gateway: TestGateway): Promise<string> =>
  (await gateway.call('GET', '/ready')).body['product-service'];

let calls = 0;
/** Another query each time: there is no last good copy to answer with. */
const get = (gateway: TestGateway) => gateway.call('GET', `${PATH}?call=${calls++}`);

const repeat = async (times: number, call: () => Promise<{ status: number }>): Promise<number[]> => {
  const statuses = [];
  for (let n = 0; n < times; n += 1) statuses.push((await call()).status);
  return statuses;
};

/** Calls and goes away as soon as `leaveWhen` holds. */
async function callAndLeave(gateway: TestGateway, leaveWhen: () => boolean): Promise<void> {
  const request = startRequest({ host: '127.0.0.1', port: gateway.port, path: PATH, agent: false });
  request.on('error', () => {});
  request.end();
  await waitFor('the time to leave', leaveWhen);
  request.destroy();
}

test('resilience: a service that is gone is a 503 with Retry-After, one that is too slow a 504, one that breaks off a 503', async () => {
  const products = await upstream();
  const gateway = await gatewayTo([products], { UPSTREAM_TIMEOUT_MS: '1000' });
  products.behave(hang);
  assertProblem(await get(gateway), 504, 'upstream.timeout', PATH);
  products.behave(breakOff);
  assertProblem(await get(gateway), 503, 'upstream.unavailable', PATH);
  await products.stop();
  assertProblem(await get(gateway), 503, 'upstream.unavailable', PATH);
  await products.restart();
  products.behave(echo);
  assert.equal((await get(gateway)).status, 200);
});

test('resilience: a circuit opens after five failures, and while it is open nothing is sent', async () => {
  const products = await upstream();
  const gateway = await gatewayTo([products], { UPSTREAM_BREAKER_RESET_MS: '60000' });
  products.behave(answer(503));
  assert.equal(await circuit(gateway), 'closed');
  assert.deepEqual(await repeat(ENOUGH_TO_OPEN, () => get(gateway)), Array(ENOUGH_TO_OPEN).fill(503));
  assert.equal(await circuit(gateway), 'open');

  products.behave(echo);
  assertProblem(await get(gateway), 503, 'upstream.unavailable', PATH);
  assert.equal(products.seen.length, ENOUGH_TO_OPEN);
});

test('resilience: an open circuit lets one request through after a while, and closes when that one succeeds', async () => {
  const products = await upstream();
  const gateway = await gatewayTo([products], { UPSTREAM_BREAKER_RESET_MS: LONG_ENOUGH_TO_SEE_MS });
  products.behave(answer(503));
  await repeat(ENOUGH_TO_OPEN, () => get(gateway));
  await waitFor('half-open', async () => (await circuit(gateway)) === 'half-open');
  products.behave(answer(502));
  assert.equal((await get(gateway)).status, 502);
  assert.equal(await circuit(gateway), 'open', 'a failed try opens it again');

  await waitFor('half-open', async () => (await circuit(gateway)) === 'half-open');
  let release = () => {};
  products.behave((_seen, response) => {
    release = () => response.end('{}');
  });
  const before = products.seen.length;
  const tries = Array.from({ length: 5 }, () => get(gateway));
  await waitFor('the try', () => products.seen.length > before);
  const refused = await Promise.all((await settledSoon(tries)).map(({ status }) => status));
  assert.deepEqual(refused, [503, 503, 503, 503], 'only one is let through');
  assert.equal(products.seen.length, before + 1);
  release();
  assert.deepEqual((await Promise.all(tries)).map(({ status }) => status).sort(), [200, 503, 503, 503, 503]);
  assert.equal(await circuit(gateway), 'closed');
});

/** Those of the calls that end while one of them can't. */
async function settledSoon<T>(calls: Promise<T>[]): Promise<T[]> {
  const done: T[] = [];
  for (const call of calls) call.then((reply) => done.push(reply));
  await waitFor('all but one', () => done.length === calls.length - 1);
  return done;
}

for (const [kind, behaviour] of Object.entries({
  'broken connections': breakOff,
  'time-outs': hang,
  '502': answer(502),
  '504': answer(504),
}))
  test(`resilience: ${kind} open the circuit`, async () => {
    const products = await upstream();
    products.behave(behaviour);
    const gateway = await gatewayTo([products], { UPSTREAM_TIMEOUT_MS: '50', UPSTREAM_BREAKER_RESET_MS: '60000' });
    await repeat(ENOUGH_TO_OPEN, () => get(gateway));
    assert.equal(await circuit(gateway), 'open');
  });

for (const status of [400, 401, 404, 409, 413, 422, 429, 500, 501])
  test(`resilience: ${status} leaves the circuit closed`, async () => {
    const products = await upstream();
    const gateway = await gatewayTo([products]);
    products.behave(answer(status));
    assert.deepEqual(await repeat(8, () => get(gateway)), Array(8).fill(status));
    assert.equal(await circuit(gateway), 'closed');
  });

test('resilience: clients that go away do not count, and the service is told', async () => {
  const products = await upstream();
  let gone = 0;
  products.behave((_seen, response) => {
    response.on('close', () => {
      gone += 1;
    });
  });
  const gateway = await gatewayTo([products], { UPSTREAM_TIMEOUT_MS: '60000' });
  for (let n = 1; n <= 8; n += 1) await callAndLeave(gateway, () => products.seen.length === n);
  await waitFor('the service has heard of all', () => gone === 8);
  assert.equal(await circuit(gateway), 'closed');
});

test('resilience: a client that goes away does not close a half-open circuit', async () => {
  const products = await upstream();
  const gateway = await gatewayTo([products], { UPSTREAM_BREAKER_RESET_MS: LONG_ENOUGH_TO_SEE_MS });
  products.behave(answer(503));
  await repeat(ENOUGH_TO_OPEN, () => get(gateway));
  await waitFor('half-open', async () => (await circuit(gateway)) === 'half-open');
  products.behave(hang);
  const before = products.seen.length;
  await callAndLeave(gateway, () => products.seen.length > before);
  await waitFor('open again', async () => (await circuit(gateway)) === 'open');
  products.behave(echo);
  await waitFor('half-open', async () => (await circuit(gateway)) === 'half-open');
  assert.equal((await get(gateway)).status, 200);
  assert.equal(await circuit(gateway), 'closed');
});

test('resilience: copies take turns, and each has its own circuit', async () => {
  const [first, second] = [await upstream(), await upstream()];
  const gateway = await gatewayTo([first, second], { UPSTREAM_BREAKER_RESET_MS: '60000' });
  await repeat(6, () => get(gateway));
  assert.deepEqual([first.seen.length, second.seen.length], [3, 3]);

  first.behave(answer(503));
  const statuses = await repeat(20, () => get(gateway));
  assert.equal(await circuit(gateway), 'open, closed');
  assert.ok(statuses.filter((status) => status === 503).length <= ENOUGH_TO_OPEN + 3);
  const before = first.seen.length;
  assert.deepEqual(await repeat(6, () => get(gateway)), Array(6).fill(200), 'the open one is passed over');
  assert.equal(first.seen.length, before);
  await repeat(2, () => gateway.call('POST', LOGOUT));
  assert.equal(first.seen.length, before + 1, 'another service at the same address has a circuit of its own');
});

test('resilience: with a copy gone, no call fails, not even one that changes something, and its body arrives whole', async () => {
  const [first, second] = [await upstream(), await upstream()];
  const gateway = await gatewayTo([first, second], { UPSTREAM_BREAKER_RESET_MS: '60000' });
  await first.stop();
  assert.deepEqual(await repeat(10, () => get(gateway)), Array(10).fill(200));
  assert.equal(await circuit(gateway), 'open, closed');
  const text = 'x'.repeat(90_000);
  for (let n = 0; n < 10; n += 1) {
    const reply = await gateway.call('POST', LOGOUT, { body: { refreshToken: text } });
    assert.equal(reply.status, 200);
    assert.equal(JSON.parse(reply.body.body).refreshToken, text);
  }
  assert.equal(second.seen.length, 20, 'each was sent once');
  const chunked = await rawCall(gateway.port, 'POST', LOGOUT, { 'transfer-encoding': 'chunked' }, text);
  assert.equal(JSON.parse(chunked.body).body, text);
});

test('resilience: a connection that lies idle is ended by the gateway, before a service that stops would end it', async () => {
  const products = await upstream();
  const gateway = await gatewayTo([products]);
  let idleMs = Number.POSITIVE_INFINITY;
  products.behave((seen, response, request) => {
    let idleSince = 0;
    response.on('finish', () => {
      idleSince = performance.now();
    });
    request.socket.on('end', () => {
      idleMs = performance.now() - idleSince;
    });
    echo(seen, response, request);
  });
  await waitFor('one has ended in time, whatever else the machine does', async () => {
    idleMs = Number.POSITIVE_INFINITY;
    await get(gateway);
    await waitFor('it has ended', () => Number.isFinite(idleMs), 5_000);
    return idleMs < DRAIN_MS;
  });
});

test('resilience: what a service may have got is never sent again, to no copy', async () => {
  const [first, second] = [await upstream(), await upstream()];
  const gateway = await gatewayTo([first, second], { UPSTREAM_TIMEOUT_MS: '2000' });
  const sent = () => first.seen.length + second.seen.length;
  for (const [behaviour, status] of [
    [breakOff, 503],
    [hang, 504],
    [answer(503), 503],
  ] as const) {
    first.behave(behaviour);
    second.behave(behaviour);
    for (const method of ['POST', 'GET']) {
      const before = sent();
      const reply = await (method === 'POST' ? gateway.call('POST', LOGOUT, { body: {} }) : get(gateway));
      assert.equal(reply.status, status);
      assert.equal(sent(), before + 1);
    }
  }
});

test('resilience: a client that sends slowly is not taken for a slow service', async () => {
  const products = await upstream();
  const gateway = await gatewayTo([products], { UPSTREAM_TIMEOUT_MS: '1000' });
  const request = startRequest({
    host: '127.0.0.1',
    port: gateway.port,
    method: 'POST',
    path: LOGOUT,
    headers: { 'content-length': 2 },
    agent: false,
  });
  const status = new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode);
    });
  });
  request.write('{');
  await waitFor('the beginning has arrived', () => products.seen.length === 1);
  const startedAt = performance.now();
  await waitFor('longer than the time-out', () => performance.now() - startedAt > 1200);
  request.end('}');
  assert.equal(await status, 200);
});

test('resilience: an answer that stops half-way is cut off after the time-out', async () => {
  const products = await upstream();
  products.behave((_seen, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half');
  });
  const gateway = await gatewayTo([products], { UPSTREAM_TIMEOUT_MS: '1000' });
  await assert.rejects(rawCall(gateway.port, 'GET', PATH), /aborted|socket hang up/);
  products.behave(echo);
  assert.equal((await get(gateway)).status, 200);
});

test('resilience: over the number of requests in flight, the next is a 503 at once; there is room again when one ends', async () => {
  const products = await upstream();
  const held: (() => void)[] = [];
  products.behave((_seen, response) => {
    held.push(() => response.end('{}'));
  });
  const gateway = await gatewayTo([products], { UPSTREAM_MAX_IN_FLIGHT: '2', UPSTREAM_TIMEOUT_MS: '60000' });
  const both = [get(gateway), get(gateway)];
  await waitFor('both are with the service', () => held.length === 2);
  assertProblem(await get(gateway), 503, 'upstream.unavailable', PATH);
  assert.equal(await circuit(gateway), 'closed', 'a refusal is no failure');
  held.shift()?.();
  held.shift()?.();
  assert.deepEqual(
    (await Promise.all(both)).map(({ status }) => status),
    [200, 200],
  );
  products.behave(echo);
  assert.equal((await get(gateway)).status, 200);
  for (let n = 0; n < 3; n += 1) {
    products.behave(hang);
    const before = products.seen.length;
    await callAndLeave(gateway, () => products.seen.length > before);
  }
  products.behave(echo);
  await waitFor('those who left make room', async () => (await get(gateway)).status === 200);
});

test('resilience: an upstream that takes the connection and never speaks is a 504', async () => {
  const silent: Server = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  const gateway = await gatewayTo([{ url: `http://127.0.0.1:${port}` }], { UPSTREAM_TIMEOUT_MS: '300' });
  assertProblem(await get(gateway), 504, 'upstream.timeout', PATH);
  silent.close();
});

test('resilience: an upstream that does not speak HTTP is a 503', async () => {
  const chatty: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end('220 smtp.example ESMTP\r\n');
  });
  await new Promise<void>((resolve) => chatty.listen(0, '127.0.0.1', resolve));
  const { port } = chatty.address() as { port: number };
  const gateway = await gatewayTo([{ url: `http://127.0.0.1:${port}` }]);
  assertProblem(await get(gateway), 503, 'upstream.unavailable', PATH);
  chatty.close();
});
