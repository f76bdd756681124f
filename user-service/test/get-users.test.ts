// Admins look at the users; nobody else does.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  anAdmin,
  problemOf,
  registerSomebody,
  somebodyLoggedIn,
  startUserService,
  type TestService,
} from './support.ts';

let service: TestService;
let admin: string;
before(async () => {
  service = await startUserService();
  admin = (await anAdmin(service)).token;
});
after(() => service.stop());

const list = (query = '') => service.call('GET', `/v1/users${query}`, { token: admin });

test('getUsers: an admin sees each once, newest first, page by page', async () => {
  const ids: string[] = [];
  for (let index = 0; index < 5; index += 1) ids.unshift((await registerSomebody(service.call)).id);
  const seen: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { status, body } = await list(`?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
    assert.equal(status, 200);
    seen.push(...body.items.map((user: { id: string }) => user.id));
    cursor = body.nextCursor;
  }
  assert.deepEqual(seen.slice(0, 5), ids);
  assert.equal(new Set(seen).size, seen.length);
  const { body } = await list('?limit=100');
  assert.deepEqual(
    body.items.map((user: { id: string }) => user.id),
    seen,
  );
  assert.deepEqual(Object.keys(body.items[0]).sort(), ['createdAt', 'email', 'id', 'name', 'roles']);
  for (const query of ['?limit=0', '?limit=101', '?cursor=nonsense', '?email=a@example.com'])
    assert.deepEqual(problemOf(await list(query)), { status: 400, code: 'query.invalid' }, query);
});

test('getUser: an admin sees whom the registration has named', async () => {
  const { token, id } = await somebodyLoggedIn(service.call);
  const { status, body } = await service.call('GET', `/v1/users/${id.toUpperCase()}`, { token: admin });
  assert.equal(status, 200);
  assert.deepEqual(body, (await service.call('GET', '/v1/users/me', { token })).body);
  const unknown = await service.call('GET', `/v1/users/${randomUUIDv7()}`, { token: admin });
  assert.deepEqual(problemOf(unknown), { status: 404, code: 'user.not-found' });
  assert.equal((await service.call('GET', '/v1/users/7', { token: admin })).status, 404);
});

test('getUsers, getUser: a customer may not, not even themselves, and nobody without a token', async () => {
  const { token, id } = await somebodyLoggedIn(service.call);
  for (const path of ['/v1/users', `/v1/users/${id}`, `/v1/users/${randomUUIDv7()}`, '/v1/users/7']) {
    assert.deepEqual(problemOf(await service.call('GET', path, { token })), { status: 403, code: 'role.missing' });
    assert.equal((await service.call('GET', path)).status, 401);
  }
});

test('users/me: with a good token of somebody who is gone, every call is a 404', async () => {
  const { token, id } = await somebodyLoggedIn(service.call);
  await service.db.pool.query('delete from token_families where user_id = $1', [id]);
  await service.db.pool.query('delete from users where id = $1', [id]);
  const address = { name: 'Ada', line1: '1 Main Street', city: 'Springfield', postalCode: '62701', country: 'US' };
  for (const [method, path, body] of [
    ['GET', '/v1/users/me'],
    ['PATCH', '/v1/users/me', { name: 'Ada' }],
    ['POST', '/v1/users/me/addresses', address],
  ] as const)
    assert.deepEqual(problemOf(await service.call(method, path, { token, body })), {
      status: 404,
      code: 'user.not-found',
    });
});
