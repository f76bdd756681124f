// Who may call what: tokens of every wrong kind, roles, and what happens when the public keys can't be had.
import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, randomUUIDv7, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import { routes } from '../src/http/routes.ts';
import {
  assertProblem,
  startGateway,
  startPlatform,
  startUpstream,
  type TestGateway,
  type TestPlatform,
  type TestUpstream,
} from './harness.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const jwk = publicKey.export({ format: 'jwk' });
const userId = randomUUIDv7();
const now = Math.floor(Date.now() / 1000);

const goodHeader = { alg: 'RS256', typ: 'at+jwt', kid: 'k1' };
const goodClaims = {
  sub: userId,
  roles: ['customer'],
  iss: 'glasshouse',
  aud: 'glasshouse-api',
  iat: now,
  exp: now + 900,
};

const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url');
const rs256 = (input: string, key = privateKey) => sign('RSA-SHA256', Buffer.from(input), key).toString('base64url');

/** A token put together by hand: the library would refuse to make most of these. */
function token(header: object = {}, claims: object = {}, signer: (input: string) => string = rs256): string {
  const input = `${encode({ ...goodHeader, ...header })}.${encode({ ...goodClaims, ...claims })}`;
  return `${input}.${signer(input)}`;
}

let user: TestUpstream;
let orders: TestUpstream;
let gateway: TestGateway;

before(async () => {
  user = await startUpstream(undefined, { keys: [{ ...jwk, kid: 'k1', use: 'sig', alg: 'RS256' }] });
  orders = await startUpstream();
  gateway = await startGateway({ USER_SERVICE_URL: user.url, ORDER_SERVICE_URL: orders.url });
});

after(async () => {
  await gateway.stop();
  await orders.stop();
  await user.stop();
});

test('authentication: a good token passes, and the service gets it as it is', async () => {
  const good = token();
  const reply = await gateway.call('GET', '/api/v1/orders', { token: good });
  assert.equal(reply.status, 200);
  assert.equal(reply.body.headers.authorization, `Bearer ${good}`);
});

const pem = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
const tampered = token().split('.');
tampered[1] = encode({ ...goodClaims, roles: ['admin'] });

const badTokens: Record<string, string> = {
  garbage: 'garbage',
  'three parts of garbage': 'a.b.c',
  empty: '',
  expired: token({}, { exp: now - 1 }),
  'without an expiry': token({}, { exp: undefined }),
  'not valid yet': token({}, { nbf: now + 600 }),
  'of another issuer': token({}, { iss: 'somebody' }),
  'for another audience': token({}, { aud: 'another-api' }),
  unsigned: token({ alg: 'none' }, {}, () => ''),
  'unsigned, in capitals': token({ alg: 'NONE' }, {}, () => ''),
  'signed by HMAC with the public key': token({ alg: 'HS256' }, {}, (input) =>
    createHmac('sha256', pem).update(input).digest('base64url'),
  ),
  'that says RS256, signed by HMAC with the public key': token({}, {}, (input) =>
    createHmac('sha256', pem).update(input).digest('base64url'),
  ),
  'signed with a stranger’s key under our key id': token({}, {}, (input) => rs256(input, stranger)),
  'that brings its own key': token(
    { kid: 'mine', jwk: createPublicKey(stranger).export({ format: 'jwk' }) },
    {},
    (input) => rs256(input, stranger),
  ),
  'with an unknown key id': token({ kid: 'k2' }),
  'without a key id': token({ kid: undefined }),
  'of another type, a refresh token say': token({ typ: 'rt+jwt' }),
  'of no type': token({ typ: 'JWT' }),
  'without a subject': token({}, { sub: undefined }),
  'whose subject is no user id': token({}, { sub: 'me' }),
  'with an unknown role': token({}, { roles: ['root'] }),
  'whose claims were changed': tampered.join('.'),
};

for (const [kind, bad] of Object.entries(badTokens))
  test(`authentication: a token ${kind} is a 401`, async () => {
    const before = orders.seen.length;
    const reply = await gateway.call('GET', '/api/v1/orders', { headers: { authorization: `Bearer ${bad}` } });
    assertProblem(reply, 401, bad === '' ? 'token.missing' : 'token.invalid', '/api/v1/orders');
    assert.equal(reply.headers.get('www-authenticate'), 'Bearer');
    assert.equal(orders.seen.length, before, 'no service may see it');
  });

test('authentication: no token, or one of another scheme or in another place, is a 401', async () => {
  const good = token();
  for (const headers of [
    {},
    { authorization: good },
    { authorization: `Basic ${good}` },
    { 'x-access-token': good },
    { cookie: `token=${good}` },
  ])
    assertProblem(await gateway.call('GET', '/api/v1/orders', { headers }), 401, 'token.missing', '/api/v1/orders');
  assertProblem(
    await gateway.call('GET', `/api/v1/orders?access_token=${good}`),
    401,
    'token.missing',
    '/api/v1/orders',
  );
});

test('authentication: a bad token does not matter where anyone may call', async (t) => {
  const platform = await startPlatform();
  t.after(platform.stop);
  const reply = await platform.gateway.call('GET', '/api/v1/products', { token: 'garbage' });
  assert.equal(reply.status, 200);
});

test('authentication: an unknown key id makes the keys be fetched at most once in 10 s', async () => {
  const before = user.keyFetches();
  await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      gateway.call('GET', '/api/v1/orders', { token: token({ kid: `unknown-${n}` }) }),
    ),
  );
  assert.ok(user.keyFetches() - before <= 1, `${user.keyFetches() - before} fetches`);
});

test('authentication: each route lets in whom its row names', async (t) => {
  const platform: TestPlatform = await startPlatform();
  t.after(platform.stop);
  const { keys, gateway: door, upstreams } = platform;
  const tokens = { nobody: undefined, customer: keys.token(userId), admin: keys.token(userId, ['admin']) };
  const forwarded = routes.filter((route) => route.upstream !== undefined);
  const statuses = { anyone: [200, 200, 200], user: [401, 200, 200], admin: [401, 403, 200] };
  for (const { method, path, access, upstream } of forwarded) {
    const asked = path.replace(/:\w+/g, () => randomUUIDv7());
    const before = upstreams[upstream].seen.length;
    const replies = [];
    for (const bearer of Object.values(tokens))
      replies.push(await door.call(method.toUpperCase(), asked, bearer === undefined ? {} : { token: bearer }));
    assert.deepEqual(
      replies.map(({ status }) => status),
      statuses[access],
      `${method} ${path}`,
    );
    const passed = statuses[access].filter((status) => status === 200).length;
    assert.equal(upstreams[upstream].seen.length - before, passed, 'only what was let in reaches the service');
    const [, forbidden] = replies;
    if (access === 'admin' && forbidden !== undefined) assertProblem(forbidden, 403, 'role.missing', asked);
  }
});

test('authentication: where no keys were ever fetched, a token is a 503, and the catalogue still answers', async (t) => {
  const products = await startUpstream();
  t.after(products.stop);
  const alone = await startGateway({ PRODUCT_SERVICE_URL: products.url });
  t.after(alone.stop);
  assertProblem(
    await alone.call('GET', '/api/v1/orders', { token: token() }),
    503,
    'keys.unavailable',
    '/api/v1/orders',
  );
  assertProblem(await alone.call('GET', '/api/v1/orders'), 401, 'token.missing', '/api/v1/orders');
  assert.equal((await alone.call('GET', '/api/v1/products')).status, 200);
  assert.equal((await alone.call('GET', '/ready')).status, 503);
  assert.equal((await alone.call('GET', '/health')).status, 200);
});

test('authentication: with the keys once fetched, tokens are checked while user-service is down', async (t) => {
  const platform = await startPlatform();
  t.after(platform.stop);
  await platform.upstreams['user-service'].stop();
  const unseen = platform.keys.token(randomUUIDv7());
  assert.equal((await platform.gateway.call('GET', '/api/v1/orders', { token: unseen })).status, 200);
  assert.equal((await platform.gateway.call('GET', '/api/v1/orders', { token: 'x.y.z' })).status, 401);
  assert.equal((await platform.gateway.call('GET', '/ready')).status, 200);
});
