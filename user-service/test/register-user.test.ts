// Registration through the real door: what is accepted, what is refused, and what the others are told.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { userRegistered } from '@glasshouse/shared/contracts';
import { waitFor } from '@glasshouse/shared/testing';
import fc from 'fast-check';
import { problemOf, startUserService, type TestService } from './support.ts';

let service: TestService;
before(async () => {
  service = await startUserService();
});
after(() => service.stop());

const register = (body: unknown, headers?: Record<string, string>) =>
  service.call('POST', '/v1/auth/register', { body, ...(headers && { headers }) });
const somebody = { email: 'somebody@example.com', password: 'long enough', name: 'Somebody' };
const outboxIsEmpty = () =>
  waitFor('an empty outbox', async () => (await service.db.pool.query('select from outbox')).rowCount === 0);

test('registerUser: with good data, makes a customer and tells the others once', async () => {
  const body = { email: ' Ada.Lovelace@Example.com ', password: 'the engine', name: ' Ada ' };
  const { status, body: user, headers } = await register(body, { 'x-request-id': 'ada-registers' });
  assert.equal(status, 201);
  assert.equal(headers.get('location'), `/api/v1/users/${user.id}`);
  const { id, createdAt, ...rest } = user;
  assert.deepEqual(rest, { email: 'Ada.Lovelace@Example.com', name: 'Ada', roles: ['customer'] });
  assert.ok(Math.abs(Date.now() - Date.parse(createdAt)) < 60_000);

  await outboxIsEmpty();
  const events = await waitFor('the event', () => {
    const found = service.broker.eventsOf(userRegistered, id);
    return found.length > 0 && found;
  });
  assert.deepEqual(
    events.map(({ data, correlationid, causationid }) => ({ data, correlationid, causationid })),
    [
      {
        data: { userId: id, email: 'Ada.Lovelace@Example.com', name: 'Ada', version: 1 },
        correlationid: 'ada-registers',
        causationid: undefined,
      },
    ],
  );
});

test('registerUser: keeps no password, only an Argon2id hash with its parameters', async () => {
  await register({ ...somebody, email: 'hashed@example.com' });
  const { rows } = await service.db.pool.query('select * from users where email = $1', ['hashed@example.com']);
  assert.match(rows[0].password_hash, /^\$argon2id\$v=19\$m=64,t=1,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.ok(!JSON.stringify(rows).includes(somebody.password));
});

test('registerUser: when many take one e-mail address in different case at once, one gets it and one event is told', async () => {
  const emails = ['twin@example.com', 'Twin@Example.com', 'TWIN@EXAMPLE.COM', 'tWiN@eXaMpLe.CoM'];
  const replies = await Promise.all([...emails, ...emails, ...emails].map((email) => register({ ...somebody, email })));
  const created = replies.filter((reply) => reply.status === 201);
  assert.equal(created.length, 1);
  for (const reply of replies.filter((other) => other !== created[0]))
    assert.deepEqual(problemOf(reply), { status: 409, code: 'user.email-in-use' });
  const { rows } = await service.db.pool.query("select id from users where lower(email) = 'twin@example.com'");
  assert.deepEqual(rows, [{ id: created[0]?.body.id }]);

  // A later event on the same channel has come: so has all before it.
  const { body: later } = await register({ ...somebody, email: 'after-the-twins@example.com' });
  await waitFor('the later event', () => service.broker.eventsOf(userRegistered, later.id).length === 1);
  await outboxIsEmpty();
  const told = service.broker.eventsOf(userRegistered).filter(({ data }) => data.email.toLowerCase() === emails[0]);
  assert.deepEqual(
    told.map(({ subject }) => subject),
    [created[0]?.body.id],
  );
});

test('registerUser: with a password at the limits, counts characters', async () => {
  const limits: [string, number][] = [
    ['x'.repeat(7), 422],
    ['x'.repeat(8), 201],
    ['x'.repeat(128), 201],
    ['x'.repeat(129), 422],
    ['🔑'.repeat(7), 422],
    ['🔑'.repeat(8), 201],
    ['🔑'.repeat(128), 201],
    ['🔑'.repeat(129), 422],
    ['with\u0000nul', 201],
  ];
  for (const [index, [password, status]] of limits.entries())
    assert.equal((await register({ ...somebody, email: `limit-${index}@example.com`, password })).status, status);
});

test('registerUser: with bad fields, is a 422 that names them', async () => {
  const bad: [object, string][] = [
    [{ email: undefined }, 'email'],
    [{ email: 'nobody' }, 'email'],
    [{ email: 'a@b' }, 'email'],
    [{ email: 'nul\u0000@example.com' }, 'email'],
    [{ email: 'line\n@example.com' }, 'email'],
    [{ email: `${'x'.repeat(243)}@example.com` }, 'email'],
    [{ email: ['a@example.com'] }, 'email'],
    [{ password: undefined }, 'password'],
    [{ password: 12_345_678 }, 'password'],
    [{ password: 'half a pair \ud83d' }, 'password'],
    [{ name: '' }, 'name'],
    [{ name: '   ' }, 'name'],
    [{ name: 'nul\u0000' }, 'name'],
    [{ name: 'x'.repeat(201) }, 'name'],
    [{ name: null }, 'name'],
    [{ roles: ['admin'] }, 'roles'],
  ];
  for (const [change, path] of bad) {
    const { status, headers, body } = await register({ ...somebody, ...change });
    assert.equal(status, 422, JSON.stringify(change));
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
    assert.ok(
      body.errors.every((error: { path: string }) => error.path === path),
      JSON.stringify(body),
    );
  }
});

test('registerUser: whatever JSON comes, is never a 5xx', async () => {
  const field = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.jsonValue(), fc.constant('a@example.com'));
  const body = fc.oneof(
    fc.record({ email: field, password: field, name: field }, { requiredKeys: [] }),
    fc.jsonValue(),
  );
  await fc.assert(
    fc.asyncProperty(body, async (value) => {
      const { status } = await register(value);
      assert.ok([201, 400, 409, 422].includes(status), `${status}`);
    }),
    { numRuns: 150 },
  );
});

test('http: what is no registration at all, is told so', async () => {
  const path = '/v1/auth/register';
  const send = (method: string, headers: Record<string, string>, body: string | null = null) =>
    fetch(service.url + path, { method, headers, body }).then(({ status }) => status);
  const json = { 'content-type': 'application/json' };
  assert.equal(await send('POST', json, '{"email":'), 400);
  assert.equal(await send('POST', { 'content-type': 'text/plain' }, JSON.stringify(somebody)), 415);
  assert.equal(await send('POST', json, JSON.stringify({ ...somebody, name: 'x'.repeat(100_000) })), 413);
  const wrongMethod = await service.call('DELETE', path);
  assert.deepEqual(problemOf(wrongMethod), { status: 405, code: 'method.not-allowed' });
  assert.equal(wrongMethod.headers.get('allow'), 'POST');
  assert.deepEqual(problemOf(await service.call('POST', '/v1/auth/registered')), {
    status: 404,
    code: 'route.not-found',
  });
});
