// Login, the tokens that it gives, and the keys that they are checked with.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createTokenVerifier, jwksOverHttp } from '@glasshouse/shared/auth';
import { createDatabase } from '@glasshouse/shared/postgres';
import { quietLogger } from '@glasshouse/shared/testing';
import jwt from 'jsonwebtoken';
import { logIn as handleLogIn } from '../src/handlers/log-in.ts';
import { registerUser } from '../src/handlers/register-user.ts';
import { createLoginGuard } from '../src/security/login-guard.ts';
import { createPasswords, type Passwords } from '../src/security/passwords.ts';
import { logIn, problemOf, registerSomebody, startUserService, type TestService } from './support.ts';

let service: TestService;
before(async () => {
  service = await startUserService();
});
after(() => service.stop());

test('logIn: with the right password and the e-mail address in any case, gives a pair of tokens', async () => {
  const { email, password, id } = await registerSomebody(service.call);
  const { status, headers, body } = await logIn(service.call, { email: ` ${email.toUpperCase()} `, password });
  assert.equal(status, 200);
  assert.equal(headers.get('cache-control'), 'no-store');
  const { accessToken, refreshToken, ...rest } = body;
  assert.deepEqual(rest, { tokenType: 'Bearer', expiresIn: 900 });
  assert.match(refreshToken, /^[A-Za-z0-9_-]{43}$/);

  const { header, payload } = jwt.decode(accessToken, { complete: true }) ?? {};
  const { keys } = (await service.call('GET', '/.well-known/jwks.json')).body;
  assert.deepEqual(header, { alg: 'RS256', typ: 'at+jwt', kid: keys[0].kid });
  const { iat, exp, jti, ...claims } = payload as jwt.JwtPayload;
  assert.deepEqual(claims, { iss: 'glasshouse', aud: 'glasshouse-api', sub: id, roles: ['customer'] });
  assert.equal((exp ?? 0) - (iat ?? 0), 900);
  assert.ok(jti);
});

test('logIn: the other services find the token good by the published keys', async () => {
  const somebody = await registerSomebody(service.call);
  const { accessToken } = (await logIn(service.call, somebody)).body;
  const options = { issuer: 'glasshouse', fetchKeys: jwksOverHttp([service.url]), logger: quietLogger };
  const verifier = createTokenVerifier({ ...options, audience: 'glasshouse-api' });
  assert.deepEqual(await verifier.verify(accessToken), { userId: somebody.id, roles: ['customer'] });
  const elsewhere = createTokenVerifier({ ...options, audience: 'another-api' });
  await assert.rejects(elsewhere.verify(accessToken), { code: 'token.invalid' });
});

test('logIn: for an unknown e-mail address and for a wrong password, gives the same answer', async () => {
  const { email, password } = await registerSomebody(service.call);
  const wrong = await logIn(service.call, { email, password: `${password}!` });
  const unknown = await logIn(service.call, { email: 'nobody@example.com', password });
  assert.deepEqual(problemOf(wrong), { status: 401, code: 'credentials.wrong' });
  const comparable = ({ body: { traceId: _traceId, ...body } }: typeof wrong) => body;
  assert.deepEqual(comparable(unknown), comparable(wrong));
  for (const attempt of [
    { email, password: 'short' },
    { email, password: ` ${password}` },
    { email, password: password.toUpperCase() },
    { email: 'no address', password },
    { email: "' or true --", password },
    { email: '%', password },
  ])
    assert.equal((await logIn(service.call, attempt)).status, 401, JSON.stringify(attempt));
});

test('logIn: letters beyond ASCII stand for no other, whatever a database’s locale makes of them', async () => {
  const kim = { email: 'kim@example.com', password: 'long enough' };
  await service.call('POST', '/v1/auth/register', { body: { ...kim, name: 'Kim' } });
  assert.equal((await logIn(service.call, { ...kim, email: 'KIM@EXAMPLE.COM' })).status, 200);
  for (const email of ['\u212aim@example.com', 'k\u0130m@example.com', 'k\u0131m@example.com'])
    assert.equal((await logIn(service.call, { ...kim, email })).status, 401, email);
});

test('logIn, registerUser: hash once, whoever they are asked for', async () => {
  const database = createDatabase({ url: service.db.url, service: 'user-service', logger: quietLogger });
  const cheap = createPasswords({ memoryKib: 64, passes: 1, concurrency: 1 });
  let hashings = 0;
  const counting: Passwords = {
    hash(password) {
      hashings += 1;
      return cheap.hash(password);
    },
    verify(password, phc) {
      hashings += 1;
      return cheap.verify(password, phc);
    },
  };
  try {
    const { email, password } = await registerSomebody(service.call);
    const free = { account: 0, address: 0 };
    const loginGuard = createLoginGuard({ secret: randomBytes(32), free, logger: quietLogger });
    const accessTokens = { ttlS: 900, issue: async () => '' };
    const deps = { db: database, passwords: counting, loginGuard, accessTokens, refreshTokenTtlS: 900 };
    const tries = [
      () => handleLogIn({ email, password: 'wrong password', clientIp: '198.18.0.1' }, deps),
      () => handleLogIn({ email: 'nobody@example.com', password, clientIp: '198.18.0.1' }, deps),
      () => registerUser({ email, password, name: 'Taken', roles: ['customer'] }, deps),
      () => registerUser({ email: 'free@example.com', password, name: 'Free', roles: ['customer'] }, deps),
    ];
    for (const attempt of tries) {
      hashings = 0;
      await attempt().catch(({ kind }) => assert.ok(['unauthenticated', 'conflict'].includes(kind)));
      assert.equal(hashings, 1);
    }
  } finally {
    await database.stop();
  }
});

test('logIn: with a password in another Unicode form, is the same password', async () => {
  const somebody = { email: 'unicode@example.com', password: 'cafe\u0301 cafe\u0301' };
  await service.call('POST', '/v1/auth/register', { body: { ...somebody, name: 'Composed' } });
  assert.equal((await logIn(service.call, { ...somebody, password: 'caf\u00e9 caf\u00e9' })).status, 200);
});

test('logIn: with bad fields, is a 422', async () => {
  const good = { email: 'a@example.com', password: 'long enough' };
  for (const body of [
    {},
    [],
    { ...good, email: 'nul\u0000@example.com' },
    { ...good, email: 7 },
    { ...good, password: '' },
    { ...good, password: 'x'.repeat(129) },
    { ...good, remember: true },
  ])
    assert.equal((await service.call('POST', '/v1/auth/login', { body })).status, 422, JSON.stringify(body));
});

test('getUser: with a token, is who it was made for', async () => {
  const somebody = await registerSomebody(service.call);
  const { accessToken: token, refreshToken } = (await logIn(service.call, somebody)).body;
  const { status, body, headers } = await service.call('GET', '/v1/users/me', { token });
  assert.equal(status, 200);
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.deepEqual(Object.keys(body).sort(), ['createdAt', 'email', 'id', 'name', 'roles']);
  assert.equal(body.id, somebody.id);

  const [head, payload] = token.split('.');
  const forged = Buffer.from(JSON.stringify({ ...(jwt.decode(token) as object), roles: ['admin'] })).toString(
    'base64url',
  );
  const unsigned = Buffer.from(JSON.stringify({ alg: 'none', typ: 'at+jwt' })).toString('base64url');
  for (const bad of [undefined, refreshToken, `${unsigned}.${payload}.`, token.replace(payload ?? '', forged), head]) {
    const reply = await service.call('GET', '/v1/users/me', bad === undefined ? {} : { token: bad });
    assert.equal(reply.status, 401);
    assert.equal(reply.headers.get('www-authenticate'), 'Bearer');
  }
});

test('jwks: is public, may be cached for a short while, and holds nothing private', async () => {
  const { status, headers, body } = await service.call('GET', '/.well-known/jwks.json');
  assert.equal(status, 200);
  assert.equal(headers.get('cache-control'), 'public, max-age=60');
  assert.equal(body.keys.length, 1);
  assert.deepEqual(Object.keys(body.keys[0]).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use']);
});
