// PATCH /v1/users/me: people change their own name, and the others hear of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { userUpdated } from '@glasshouse/shared/contracts';
import { waitFor } from '@glasshouse/shared/testing';
import { problemOf, somebodyLoggedIn, startUserService, type TestService } from './support.ts';

let service: TestService;
before(async () => {
  service = await startUserService();
});
after(() => service.stop());

const update = (token: string, body: unknown) => service.call('PATCH', '/v1/users/me', { token, body });
const versionOf = async (id: string) =>
  (await service.db.pool.query('select version from users where id = $1', [id])).rows[0].version;
/** What was told of a user, once all that was committed is out. */
const told = async (id: string) => {
  await waitFor('an empty outbox', async () => (await service.db.pool.query('select from outbox')).rowCount === 0);
  return service.broker.eventsOf(userUpdated, id).map(({ data }) => [data.version, data.name, data.email]);
};

test('updateUser: with another name, answers with it, counts the version up and tells the others', async () => {
  const { token, id, email } = await somebodyLoggedIn(service.call);
  const { status, body } = await update(token, { name: '  Ada Lovelace ' });
  assert.equal(status, 200);
  assert.deepEqual([body.id, body.email, body.name], [id, email, 'Ada Lovelace']);
  assert.deepEqual((await service.call('GET', '/v1/users/me', { token })).body, body);
  assert.equal(await versionOf(id), 2);
  await waitFor('it is told', async () => (await told(id)).length > 0);
  await update(token, { name: 'Ada' });
  await waitFor('both are told', async () => (await told(id)).length > 1);
  assert.deepEqual((await told(id)).sort(), [
    [2, 'Ada Lovelace', email],
    [3, 'Ada', email],
  ]);
});

test('updateUser: with the name that they have, or without a field, changes nothing and tells nothing', async () => {
  const { token, id } = await somebodyLoggedIn(service.call);
  const { body: before } = await service.call('GET', '/v1/users/me', { token });
  for (const change of [{}, { name: before.name }, { name: ` ${before.name} ` }]) {
    const { status, body } = await update(token, change);
    assert.deepEqual([status, body], [200, before]);
  }
  assert.equal(await versionOf(id), 1);
  // A later event on the same channel has come: so would have those before it.
  const other = await somebodyLoggedIn(service.call);
  await update(other.token, { name: 'Later' });
  await waitFor('the later event', async () => (await told(other.id)).length === 1);
  assert.deepEqual(await told(id), []);
});

test('updateUser: many at once leave one name, and a version for each change that was told', async () => {
  const { token, id, email } = await somebodyLoggedIn(service.call);
  const names = Array.from({ length: 8 }, (_, index) => `Name ${index}`);
  const replies = await Promise.all(names.map((name) => update(token, { name })));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
  const { body } = await service.call('GET', '/v1/users/me', { token });
  await waitFor('all are told', async () => (await told(id)).length === 8);
  const events = (await told(id)).sort(([a], [b]) => Number(a) - Number(b));
  assert.deepEqual(
    events.map(([version]) => version),
    [2, 3, 4, 5, 6, 7, 8, 9],
  );
  assert.deepEqual(events.at(-1), [9, body.name, email]);
});

test('updateUser: what is not theirs to change is a 422, and nobody does it without a token', async () => {
  const { token, id } = await somebodyLoggedIn(service.call);
  for (const [body, path] of [
    [{ roles: ['admin'] }, 'roles'],
    [{ email: 'other@example.com' }, 'email'],
    [{ name: 'A', version: 7 }, 'version'],
    [{ name: '' }, 'name'],
    [{ name: '   ' }, 'name'],
    [{ name: null }, 'name'],
    [{ name: 'x'.repeat(201) }, 'name'],
    [{ name: 'nul\u0000' }, 'name'],
    [[], ''],
  ] as const) {
    const reply = await update(token, body);
    assert.deepEqual([reply.status, reply.body.errors?.[0]?.path], [422, path], JSON.stringify(body));
  }
  assert.equal(await versionOf(id), 1);
  assert.equal((await service.call('PATCH', '/v1/users/me', { body: { name: 'A' } })).status, 401);
  const wrongMethod = await service.call('DELETE', '/v1/users/me', { token });
  assert.deepEqual(problemOf(wrongMethod), { status: 405, code: 'method.not-allowed' });
  assert.equal(wrongMethod.headers.get('allow'), 'GET, HEAD, PATCH');
});
