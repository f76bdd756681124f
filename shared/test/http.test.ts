// The chassis's HTTP side through real HTTP: what it checks of a request before any handler runs, and in which order.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Writable } from 'node:stream';
import { after, before, beforeEach, test } from 'node:test';
import winston from 'winston';
import { z } from 'zod';
import { createTokenVerifier, jwksOverHttp } from '../src/auth/index.ts';
import { AppError } from '../src/errors/index.ts';
import { createHttpApp, type HttpServer, MAX_BODY_BYTES, noContent, ok, type Route, route } from '../src/http/index.ts';
import { createLogger } from '../src/logger/index.ts';
import { setupContext } from '../src/telemetry/index.ts';
import { createTestKeys, quietLogger, type TestKeys, waitFor } from '../src/testing/index.ts';

let keys: TestKeys;
let server: HttpServer;
/** What the handlers have done: nothing that was refused may show up here. */
let handled: string[] = [];
const bodyless = (method: Route['method'], path: string) =>
  route({
    method,
    path,
    access: 'user',
    operationId: `${method}Thing`,
    summary: 'Do something that needs no body',
    answers: { 204: null },
    async handle() {
      handled.push(`${method} ${path}`);
      return noContent();
    },
  });

before(async () => {
  setupContext();
  keys = await createTestKeys();
  const verifier = createTokenVerifier({
    issuer: 'glasshouse',
    audience: 'glasshouse-api',
    fetchKeys: jwksOverHttp([keys.url]),
    logger: quietLogger,
  });
  server = createHttpApp({
    routes: [
      bodyless('get', '/v1/things'),
      route({
        method: 'get',
        path: '/v1/counts',
        access: 'anyone',
        operationId: 'getCounts',
        summary: 'Get something',
        answers: { 200: z.object({ count: z.int() }) },
        handle: async () => ok({ count: 1 }),
      }),
      bodyless('post', '/v1/things/:id/turn'),
      bodyless('patch', '/v1/things/:id'),
      bodyless('delete', '/v1/things/:id'),
    ],
    verifier,
    readiness: { conditions: {} },
    logger: quietLogger,
    host: '127.0.0.1',
    port: 0,
  });
  await server.start();
});
after(async () => {
  await server.stop();
  await keys.stop();
});
beforeEach(() => {
  handled = [];
});

const json = { 'content-type': 'application/json' };
async function send(
  method: string,
  path: string,
  options: { headers?: Record<string, string>; body?: string; token?: string } = {},
) {
  const { headers = {}, body = null, token = keys.token(randomUUIDv7()) } = options;
  const response = await fetch(`http://127.0.0.1:${server.port()}${path}`, {
    method,
    headers: { ...(token !== '' && { authorization: `Bearer ${token}` }), ...headers },
    body,
  });
  const text = await response.text();
  const { code, errors } = text === '' ? {} : JSON.parse(text);
  return { status: response.status, code, path: errors?.[0]?.path };
}
const thing = `/v1/things/${randomUUIDv7()}`;
const calls = [
  ['POST', `${thing}/turn`],
  ['PATCH', thing],
  ['DELETE', thing],
] as const;

test('a call without a body schema: takes none, one of length 0, and an empty object', async () => {
  for (const [method, path] of calls) {
    assert.equal((await send(method, path)).status, 204);
    assert.equal((await send(method, path, { headers: json, body: '' })).status, 204);
    assert.equal((await send(method, path, { headers: json, body: ' {} ' })).status, 204);
  }
  assert.equal(handled.length, 9);
});

test('a call without a body schema: an unknown field, and what is no object, is a 422', async () => {
  for (const [method, path] of calls)
    for (const [body, field] of [
      ['{"reason":"changed my mind"}', 'reason'],
      ['{"__proto__":1}', '__proto__'],
      ['[]', ''],
      ['null', ''],
      ['7', ''],
    ] as const)
      assert.deepEqual(
        await send(method, path, { headers: json, body }),
        { status: 422, code: 'body.invalid', path: field },
        `${method} ${body}`,
      );
  assert.deepEqual(handled, []);
});

test('a call without a body schema: a body that is malformed, too large or no JSON is a 400, 413 or 415', async () => {
  for (const [method, path] of calls)
    for (const [headers, body, status, code] of [
      [json, '{"reason":', 400, 'body.malformed'],
      [json, `{"reason":"${'x'.repeat(MAX_BODY_BYTES)}"}`, 413, 'body.too-large'],
      [{ 'content-type': 'text/plain' }, '{}', 415, 'body.unsupported-type'],
      [{ 'content-type': 'application/x-www-form-urlencoded' }, 'reason=1', 415, 'body.unsupported-type'],
    ] as const)
      assert.deepEqual(
        await send(method, path, { headers, body }),
        { status, code, path: undefined },
        `${method} ${status}`,
      );
  assert.deepEqual(handled, []);
});

test('a call without a body schema: its body is judged after the token and before the resource', async () => {
  const nowhere = '/v1/things/7/turn';
  const order = [
    [{ token: '', headers: { 'content-type': 'text/plain' }, body: 'x' }, 401],
    [{ headers: { 'content-type': 'text/plain' }, body: 'x'.repeat(MAX_BODY_BYTES + 1) }, 415],
    [{ headers: json, body: 'x'.repeat(MAX_BODY_BYTES + 1) }, 413],
    [{ headers: json, body: '{' }, 400],
    [{ headers: json, body: '{"reason":1}' }, 422],
    [{ headers: json, body: '{}' }, 404],
  ] as const;
  for (const [options, status] of order) assert.equal((await send('POST', nowhere, options)).status, status);
  assert.deepEqual(handled, []);
});

test('a call without a body schema: chunks without a byte are no body, of whatever type; those with one are a 415', async () => {
  const chunked = async (method: string, path: string, type: string, chunks: string) => {
    const socket = connect({ port: server.port(), host: '127.0.0.1' });
    const token = keys.token(randomUUIDv7());
    const head = [`${method} ${path} HTTP/1.1`, 'Host: x', `Authorization: Bearer ${token}`, 'Connection: close', type];
    socket.write([...head, 'Transfer-Encoding: chunked', '', chunks].filter((line, at) => line || at > 4).join('\r\n'));
    let got = '';
    for await (const data of socket) got += data;
    return got.split('\r\n')[0];
  };
  for (const [method, path] of calls)
    for (const type of ['', 'Content-Type: text/plain', 'Content-Type: application/json']) {
      assert.equal(await chunked(method, path, type, '0\r\n\r\n'), 'HTTP/1.1 204 No Content', `${method} ${type}`);
      const status = type.endsWith('json') ? '204 No Content' : '415 Unsupported Media Type';
      assert.equal(
        await chunked(method, path, type, '2\r\n{}\r\n0\r\n\r\n'),
        `HTTP/1.1 ${status}`,
        `${method} ${type}`,
      );
    }
  assert.equal(handled.length, 12);
});

test('a conditional request: is answered in full, for nothing here has an etag', async () => {
  for (const path of ['/health', '/v1/counts']) {
    // By hand: `fetch` adds a Cache-Control that makes it unconditional.
    const socket = connect({ port: server.port(), host: '127.0.0.1' });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIf-None-Match: *\r\n\r\n`);
    let got = '';
    for await (const data of socket) got += data;
    assert.match(got, /^HTTP\/1.1 200 .*\{"/s, path);
  }
});

/** A refused request whose body is still to come, on a connection that ends with the answer. */
async function refusedHalfway() {
  const arrived = once(server.server, 'request');
  const socket = connect({ port: server.port(), host: '127.0.0.1' });
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
  let got = '';
  socket.on('data', (data) => {
    got += data;
  });
  const ended = new Promise((resolve, reject) => socket.on('close', resolve).on('error', reject));
  socket.write(
    `PATCH ${thing} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunk('{')}`,
  );
  await arrived;
  return {
    got: () => got,
    ended,
    send: (text: string) => socket.write(chunk(text)),
    end: () => socket.write('0\r\n\r\n'),
  };
}

test('a refused request: is answered once its body is there, or the connection would break while it is sent', async () => {
  const refused = await refusedHalfway();
  for (const _ of [1, 2, 3]) assert.equal((await send('GET', '/nothing')).status, 404);
  assert.equal(refused.got(), '');
  refused.send('}');
  refused.end();
  await refused.ended;
  assert.match(refused.got(), /^HTTP\/1.1 401 .*"token.missing"/s);
});

test('a refused request: is not waited for where its body goes on and on', async () => {
  const refused = await refusedHalfway();
  for (let sent = 0; sent < 10; sent += 1) refused.send('x'.repeat(MAX_BODY_BYTES));
  await waitFor('it is answered', () => refused.got().includes('"token.missing"'));
  await refused.ended.catch(() => {});
});

test('log: a refusal because too much is under way costs one line, with its code and no stack; an outage tells its cause as well', async (t) => {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(line, _encoding, done) {
      lines.push(JSON.parse(String(line)));
      done();
    },
  });
  const logger = createLogger({ service: 'test', level: 'warn' });
  logger.clear().add(new winston.transports.Stream({ stream }));
  const failing = (path: string, options: ConstructorParameters<typeof AppError>[3]) =>
    route({
      method: 'get',
      path,
      access: 'anyone',
      operationId: 'getNothing',
      summary: 'Get nothing',
      answers: {},
      handle: async () => {
        throw new AppError('unavailable', 'things.unavailable', 'Not now.', { retryAfterS: 1, ...options });
      },
    });
  const app = createHttpApp({
    routes: [failing('/v1/busy', {}), failing('/v1/broken', { cause: new Error('the disk is full') })],
    verifier: undefined,
    readiness: { conditions: {} },
    logger,
    host: '127.0.0.1',
    port: 0,
  });
  await app.start();
  t.after(() => app.stop());
  const linesOf = async (path: string) => {
    lines.length = 0;
    assert.equal((await fetch(`http://127.0.0.1:${app.port()}${path}`)).status, 503);
    await waitFor('the request is logged', () => lines.some(({ message }) => message === 'request'));
    return lines.map(({ level, message, code, status }) => ({ level, message, code, status }));
  };
  const request = { level: 'warn', message: 'request', code: 'things.unavailable', status: 503 };
  assert.deepEqual(await linesOf('/v1/busy'), [request]);
  assert.deepEqual(await linesOf('/v1/broken'), [
    { level: 'warn', message: 'a request could not be served', code: undefined, status: undefined },
    request,
  ]);
  assert.match(JSON.stringify(lines), /the disk is full/);
});
