// Requests that no client would send, byte for byte: a service gets one clean request or none, and whoever sent it an answer or a closed connection.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { type SeenRequest, startPlatform, type TestPlatform } from './harness.ts';

let platform: TestPlatform;
const TOO_LONG_MS = 20_000;

before(async () => {
  platform = await startPlatform();
});
after(() => platform.stop());
beforeEach(() => {
  for (const upstream of Object.values(platform.upstreams)) upstream.seen.length = 0;
});

/** What the services have seen since the test began. */
const seen = (): SeenRequest[] => Object.values(platform.upstreams).flatMap((upstream) => upstream.seen);

/** Sends these bytes; all that comes back until the connection ends. `isAll`: says that no more will come, which ends what is under way. */
function send(bytes: string, isAll = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: platform.gateway.port, host: '127.0.0.1' }, () => {
      if (isAll) socket.end(bytes, 'latin1');
      else socket.write(bytes, 'latin1');
    });
    let got = '';
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`it hangs, after ${got}`));
    }, TOO_LONG_MS);
    socket.on('data', (chunk) => {
      got += chunk;
    });
    // The gateway may close while there is still something to send.
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(got);
    });
  });
}

const answersIn = (got: string) => [...got.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));

/** Refused: nothing, or one 4xx, a problem; no service has seen it. */
function assertRefused(got: string, name: string): void {
  const statuses = answersIn(got);
  assert.ok(statuses.length <= 1, `${name}: ${statuses}`);
  if (statuses[0] !== undefined) {
    assert.ok(statuses[0] >= 400 && statuses[0] < 500, `${name}: ${statuses}`);
    const [head = '', body = ''] = got.split('\r\n\r\n');
    assert.match(head, /application\/problem\+json/, name);
    assert.equal(JSON.parse(body).status, statuses[0]);
  }
  assert.deepEqual(seen(), [], name);
}

const LOGOUT = 'POST /api/v1/auth/logout HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
/** What a smuggled second request would look like. */
const LAST = 'GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
const SMUGGLED = 'GET /api/v1/categories HTTP/1.1\r\nHost: x\r\n\r\n';

for (const [name, bytes] of Object.entries({
  'a length and chunks': `${LOGOUT}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'chunks and a length': `${LOGOUT}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'two lengths': `${LOGOUT}Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}${SMUGGLED}`,
  'two lengths in one': `${LOGOUT}Content-Length: 2, 40\r\n\r\n{}${SMUGGLED}`,
  'a length that is no number': `${LOGOUT}Content-Length: 0x2\r\n\r\n{}`,
  'a negative length': `${LOGOUT}Content-Length: -2\r\n\r\n{}`,
  'a length with a sign': `${LOGOUT}Content-Length: +2\r\n\r\n{}`,
  'chunked that is not the last coding': `${LOGOUT}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'chunked by another name': `${LOGOUT}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'chunked twice': `${LOGOUT}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'a space before the colon': `${LOGOUT}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'a folded header': `${LOGOUT}Content-Length: 2\r\nX-One: a\r\n b\r\n\r\n{}`,
  'a folded first header': `POST /api/v1/auth/logout HTTP/1.1\r\n Host: x\r\nContent-Length: 2\r\n\r\n{}`,
  'bare line feeds': 'GET /api/v1/products HTTP/1.1\nHost: x\n\n',
  'a bare line feed in the head': `GET /api/v1/products HTTP/1.1\r\nHost: x\nX-One: 1\r\n\r\n`,
  'a bare carriage return in a header': `GET /api/v1/products HTTP/1.1\r\nHost: x\r\nX-One: a\rX-Two: b\r\n\r\n`,
  'a NUL in a header': `GET /api/v1/products HTTP/1.1\r\nHost: x\r\nX-One: a\0b\r\n\r\n`,
  'a NUL in the path': 'GET /api/v1/products\0/x HTTP/1.1\r\nHost: x\r\n\r\n',
  'a space in the path': 'GET /api/v1/products HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n',
  'a version that there is not': 'GET /api/v1/products HTTP/1.9\r\nHost: x\r\n\r\n',
  'no host': 'GET /api/v1/products HTTP/1.1\r\nConnection: close\r\n\r\n',
  'a method that there is not': 'STEAL /api/v1/products HTTP/1.1\r\nHost: x\r\n\r\n',
  'a tunnel': 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n',
  TLS: '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
  'a path of 20 kB': `GET /api/v1/products/${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
  'a header of 20 kB': `GET /api/v1/products HTTP/1.1\r\nHost: x\r\nX-One: ${'x'.repeat(20_000)}\r\n\r\n`,
  'a thousand headers': `GET /api/v1/products HTTP/1.1\r\nHost: x\r\n${'X-One: some value of it\r\n'.repeat(1_000)}\r\n`,
  'a control character in a header': `GET /api/v1/products HTTP/1.1\r\nHost: x\r\nX-One: a\x01b\r\nConnection: close\r\n\r\n`,
  'a control character in the path': 'GET /api/v1/products/\x01 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
}))
  test(`hostile: ${name} is refused`, async () => assertRefused(await send(bytes), name));

test('hostile: a request that ends before it is one is refused', async () => {
  for (const bytes of ['', 'GET /api/v1/products HTT', `${LOGOUT}Content-Length: 5\r\n\r\n{`]) {
    const statuses = answersIn(await send(bytes, true));
    assert.ok(
      statuses.every((status) => status === 400),
      `${bytes}: ${statuses}`,
    );
  }
  assert.deepEqual(
    seen().filter(({ body }) => body !== '{'),
    [],
  );
});

for (const path of [
  '/api/v1/products/..',
  '/api/v1/products/../orders',
  '/api/v1/products/%2e%2e/orders',
  '/api/v1/products/.%2E',
  '/api/v1/./products',
  '/api/v1/products/%2e',
  '/api/v1/products\\..\\users',
  '/api\\v1\\products',
  '//api/v1/products',
  '/api//v1/products',
  '/api/v1//products',
  '//evil.example/api/v1/products',
  '/api/v1/products/%zz',
  '/api/v1/products/%00/x',
  '/%61pi/v1/products/../users',
  'api/v1/products',
  '*',
])
  test(`hostile: the path ${path} leads nowhere`, async () => {
    const got = await send(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    assertRefused(got, path);
  });

test('hostile: a body whose chunks are broken reaches no service whole, and nothing after it is a request', async () => {
  for (const chunks of [
    'zz\r\n{}\r\n0\r\n\r\n',
    '-1\r\n{}\r\n',
    '1\r\n{}\r\n0\r\n\r\n',
    `${'f'.repeat(17)}\r\n{}`,
    '2\n{}\n0\n\n',
  ]) {
    const got = await send(`${LOGOUT}Transfer-Encoding: chunked\r\n\r\n${chunks}${SMUGGLED}`);
    const statuses = answersIn(got);
    assert.ok(statuses.length <= 1 && statuses.every((status) => status === 400), `${chunks}: ${statuses}`);
  }
  assert.deepEqual(
    seen().filter(({ url }) => url !== '/v1/auth/logout'),
    [],
  );
  assert.deepEqual(
    seen()
      .map(({ body }) => body)
      .filter((body) => body.length > 2),
    [],
  );
});

test('hostile: requests that follow one another on a connection stay apart', async () => {
  const first = `${LOGOUT}Content-Length: 2\r\n\r\n{}`;
  const refused = 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n';
  const last = 'GET /api/v1/products HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
  assert.deepEqual(answersIn(await send(first + refused + last)), [200, 404, 200]);
  assert.deepEqual(
    seen().map(({ method, url, body }) => [method, url, body]),
    [
      ['POST', '/v1/auth/logout', '{}'],
      ['GET', '/v1/products', ''],
    ],
  );
});

test('hostile: what stands behind a whole request and is none takes no answer from it, and ends the connection', async () => {
  const whole = `${LOGOUT}Content-Length: 2\r\n\r\n{}`;
  const last = `${LOGOUT}Connection: close\r\nContent-Length: 2\r\n\r\n{}`;
  for (const [bytes, expected] of [
    [`${whole}{"a":1}`, [200]],
    [`${last}{"a":1}`, [200]],
    [`${whole}${whole}nonsense\r\n\r\n${SMUGGLED}`, [200, 200]],
  ] as const) {
    const before = seen().length;
    assert.deepEqual(answersIn(await send(bytes)), expected, bytes);
    assert.equal(seen().length - before, expected.length);
  }
});

test('hostile: the body of a request that is refused is not taken for the next one', async () => {
  for (const head of ['POST /nothing HTTP/1.1', 'POST /api/v1/orders HTTP/1.1', 'PUT /api/v1/products HTTP/1.1']) {
    const got = await send(`${head}\r\nHost: x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}${LAST}`);
    const [first, ...next] = answersIn(got);
    assert.ok(first !== undefined && first >= 401 && first <= 405, head);
    assert.ok(next.length === 0 || (next.length === 1 && next[0] === 404), `${head}: ${next}`);
  }
  assert.deepEqual(seen(), []);
});

test('hostile: an absolute target names no other host, and Host does not either', async () => {
  const got = await send(
    'GET http://evil.example/api/v1/products HTTP/1.1\r\nHost: other.example\r\nHost: third.example\r\nConnection: close\r\n\r\n',
  );
  const [status] = answersIn(got);
  if (status === 400) return assert.deepEqual(seen(), []);
  assert.equal(status, 200);
  const [only, ...more] = seen();
  assert.deepEqual(more, []);
  assert.equal(only?.url, '/v1/products');
  assert.equal(`http://${only?.headers.host}`, platform.upstreams['product-service'].url);
});

test('hostile: requests of older times, without a host, get their answers and a closed connection, and no circuit hears of them', async () => {
  for (let n = 0; n < 6; n += 1)
    for (const line of ['GET /api/v1/products HTTP/1.0\r\n\r\n', 'GET /api/v1/products HTTP/1.0\r\nHost:\r\n\r\n'])
      assert.deepEqual(answersIn(await send(line)), [200], line);
  assert.equal(seen().length, 12);
});

test('hostile: Connection takes neither the token away nor a header that the gateway sets', async () => {
  const token = platform.keys.token(randomUUIDv7());
  const got = await send(
    [
      'GET /api/v1/orders HTTP/1.1',
      'Host: x',
      `Authorization: Bearer ${token}`,
      'Connection: close, authorization, host, x-forwarded-for, x-request-id, traceparent, content-length',
      'X-Forwarded-For: 10.0.0.1',
      'X-User-Id: 1',
      'X_User_Id: 1',
      '',
      '',
    ].join('\r\n'),
  );
  assert.deepEqual(answersIn(got), [200]);
  const headers = seen()[0]?.headers ?? {};
  assert.equal(headers.authorization, `Bearer ${token}`);
  assert.equal(headers['x-forwarded-for'], '127.0.0.1');
  assert.ok(headers['x-request-id'] && headers.traceparent);
  assert.equal(headers['x-user-id'] ?? headers.x_user_id, undefined);
});

test('hostile: two tokens are not more than one', async () => {
  const token = platform.keys.token(randomUUIDv7(), ['admin']);
  const got = await send(
    `GET /api/v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nonsense\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
  );
  assertRefused(got, 'the first is bad');
});

test('hostile: an upgrade is not one', async () => {
  const got = await send(
    'GET /api/v1/products HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
  );
  assert.deepEqual(answersIn(got), [200]);
  const headers = seen()[0]?.headers ?? {};
  assert.equal(headers.upgrade ?? headers['http2-settings'], undefined);
});
