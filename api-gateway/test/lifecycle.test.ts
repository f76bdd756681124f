// The process from its settings to its end: what it refuses to start with, what it says of itself, and how it stops.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request as startRequest } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ConfigError } from '@glasshouse/shared/config';
import { freePort, waitFor } from '@glasshouse/shared/testing';
import { loadConfig } from '../src/config.ts';
import { createApiGateway } from '../src/service.ts';
import { startGateway, startPlatform, startUpstream } from './harness.ts';

/** The process by itself, with nothing but these settings. */
const startProcess = (env: Record<string, string>) =>
  spawn(process.execPath, [`${import.meta.dirname}/../src/main.ts`], {
    env: { PATH: process.env.PATH, METRICS_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });

// First, for a histogram stays with the provider that it finds at its first use.
test('metrics: have a port of their own and count by route, not by path', async (t) => {
  const port = await freePort();
  const platform = await startPlatform({ METRICS_PORT: String(port) });
  t.after(platform.stop);
  await platform.gateway.call('GET', '/api/v1/products/0190f0f0-0000-7000-8000-000000000001');
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  assert.match(metrics, /http_server_request_duration(_seconds)?_count\{.*http_route="\/api\/v1\/products\/:id".*\} 1/);
  assert.match(metrics, /http_client_request_duration(_seconds)?_count\{.*http_response_status_code="200".*\} 1/);
  assert.equal((await platform.gateway.call('GET', '/metrics')).status, 404);
});

test('loadConfig: every wrong setting is named at once, without its value', () => {
  const wrong = {
    PORT: 'eighty',
    ORDER_SERVICE_URL: 'http://a,ftp://secret-host',
    RATE_LIMIT_PER_MINUTE: '-1',
    AUTH_RATE_LIMIT_PER_MINUTE: 'many',
    UPSTREAM_TIMEOUT_MS: '0',
    TRUSTED_PROXY_HOPS: 'all',
  };
  assert.throws(
    () => loadConfig(wrong),
    (error) => {
      assert.ok(error instanceof ConfigError);
      for (const name of Object.keys(wrong)) assert.match(error.message, new RegExp(`^ {2}${name}: `, 'm'));
      assert.equal(error.message.split('\n').length, 1 + Object.keys(wrong).length);
      return true;
    },
  );
});

test('loadConfig: nothing needs to be set on one machine', () => {
  const config = loadConfig({});
  assert.equal(config.PORT, 8080);
  assert.equal(config.HOST, '127.0.0.1');
  assert.equal(config.RATE_LIMIT_PER_MINUTE, 600);
  assert.equal(config.AUTH_RATE_LIMIT_PER_MINUTE, 30);
  assert.equal(config.UPSTREAM_TIMEOUT_MS, 10_000);
  assert.deepEqual(config.ORDER_SERVICE_URL, ['http://localhost:3003']);
  assert.deepEqual(loadConfig({ USER_SERVICE_URL: 'http://a:1, http://b:2/' }).USER_SERVICE_URL, [
    'http://a:1',
    'http://b:2',
  ]);
});

test('ready: not before the keys were fetched; the circuits are told and not judged', async (t) => {
  const users = await startUpstream(undefined, { keys: [] });
  t.after(users.stop);
  const nothing = await startGateway({});
  t.after(nothing.stop);
  const waiting = await nothing.call('GET', '/ready');
  assert.deepEqual([waiting.status, waiting.body.status, waiting.body.keys], [503, 'not ready', 'down']);

  const gateway = await startGateway({ USER_SERVICE_URL: `${users.url},${users.url}` });
  t.after(gateway.stop);
  await waitFor('ready', async () => (await gateway.call('GET', '/ready')).status === 200);
  for (let n = 0; n < 6; n += 1) await gateway.call('GET', '/api/v1/products');
  const { status, body } = await gateway.call('GET', '/ready');
  assert.equal(status, 200);
  assert.equal(body.keys, 'up');
  assert.equal(body['product-service'], 'open');
  assert.equal(body['user-service'], 'closed, closed');
  assert.deepEqual((await gateway.call('GET', '/health')).body, { status: 'live' });
});

test('stop: what is in flight is answered, on a connection that then closes; nothing new gets in', async (t) => {
  const platform = await startPlatform();
  t.after(platform.stop);
  const { gateway, upstreams } = platform;
  let release = () => {};
  upstreams['product-service'].behave((_seen, response) => {
    release = () => response.end('{"late":true}');
  });
  // A client that would keep its connection for ever.
  const client = connect(gateway.port, '127.0.0.1');
  const received = text(client);
  client.write('GET /api/v1/products HTTP/1.1\r\nHost: x\r\n\r\n');
  await waitFor('the service has it', () => upstreams['product-service'].seen.length === 1);
  const startedAt = performance.now();
  const stopped = gateway.stop();
  await waitFor('nothing new gets in', () =>
    fetch(`${gateway.url}/health`).then(
      () => false,
      () => true,
    ),
  );
  release();
  assert.match(await received, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\{"late":true\}/);
  await stopped;
  assert.ok(performance.now() - startedAt < 4_000, 'it does not wait for connections that are idle');
});

test('main: starts with no setting but a port, ends with 0 on SIGTERM, and with 1 and the reasons on wrong settings', async (t) => {
  const good = startProcess({ PORT: '0' });
  t.after(() => good.kill('SIGKILL'));
  let lines = '';
  good.stdout.on('data', (chunk) => {
    lines += chunk;
  });
  await waitFor('started', () => lines.includes('"message":"started"'));
  good.kill('SIGTERM');
  assert.deepEqual(await once(good, 'exit'), [0, null]);

  const bad = startProcess({ PORT: 'x', UPSTREAM_TIMEOUT_MS: 'y' });
  const [[code], errors] = await Promise.all([once(bad, 'exit'), text(bad.stderr)]);
  assert.equal(code, 1);
  assert.match(errors, /^Wrong settings:\n {2}PORT: .*\n {2}UPSTREAM_TIMEOUT_MS: .*\n$/);
});

test('logs: X-Forwarded-For from a proxy that is not trusted is warned of, once; from one that is, never', async (t) => {
  for (const [hops, warnings] of [
    ['0', 1],
    ['1', 0],
  ] as const) {
    const port = String(await freePort());
    const gateway = startProcess({ PORT: port, TRUSTED_PROXY_HOPS: hops });
    t.after(() => gateway.kill('SIGKILL'));
    let lines = '';
    gateway.stdout.on('data', (chunk) => {
      lines += chunk;
    });
    await waitFor('started', () => lines.includes('"message":"started"'));
    const call = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${port}/api/v1/nothing`, { headers });
    await call({});
    assert.doesNotMatch(lines, /TRUSTED_PROXY_HOPS/, 'nothing has come yet');
    for (let n = 0; n < 3; n += 1) await call({ 'x-forwarded-for': '203.0.113.7' });
    await waitFor('all are logged', () => lines.split('"message":"request"').length === 5);
    assert.equal(lines.split('TRUSTED_PROXY_HOPS').length - 1, warnings, lines);
  }
});

test('start: a port that is taken is one clear line', async (t) => {
  const first = await startGateway({});
  t.after(first.stop);
  const second = createApiGateway(loadConfig({ LOG_LEVEL: 'error', PORT: String(first.port) }));
  await assert.rejects(second.service.start(), /is taken: another process listens there/);
  await second.service.stop();
});

test('stop: a request that comes on an idle connection while the process ends is answered, and the connection with it', async (t) => {
  const port = await freePort();
  const child = startProcess({ PORT: String(port) });
  t.after(() => child.kill('SIGKILL'));
  const url = `http://127.0.0.1:${port}`;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const get = async (path: string) => {
    const request = startRequest(`${url}${path}`, { agent }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    await text(response);
    return { isReused: request.reusedSocket, status: response.statusCode, connection: response.headers.connection };
  };
  await waitFor('the process is up', async () => (await fetch(`${url}/health`)).ok);
  await get('/health');
  child.kill('SIGTERM');
  const isDraining = async () => (await (await fetch(`${url}/ready`)).text()).includes('draining');
  // For half a second only.
  await waitFor('it says so', isDraining, 5_000, 20);
  assert.deepEqual(await get('/health'), { isReused: true, status: 200, connection: 'close' });
  assert.deepEqual(await once(child, 'exit'), [0, null]);
});
