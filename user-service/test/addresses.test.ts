// The addresses that people keep: theirs alone, as many as are useful.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { problemOf, somebodyLoggedIn, startUserService, type TestService } from './support.ts';

let service: TestService;
before(async () => {
  service = await startUserService();
});
after(() => service.stop());

const path = '/v1/users/me/addresses';
const home = { name: 'Ada', line1: '1 Main Street', city: 'Springfield', postalCode: '62701', country: 'US' };
const add = (token: string, body: unknown = home) => service.call('POST', path, { token, body });
const list = (token: string, query = '') => service.call('GET', path + query, { token });
const remove = (token: string, id: string) => service.call('DELETE', `${path}/${id}`, { token });

test('addAddress: keeps it whole, trimmed, in any script', async () => {
  const { token } = await somebodyLoggedIn(service.call);
  const full = { ...home, name: ' Áda 愛 🏠 ', line2: 'Flat 2', region: 'IL' };
  const { status, body, headers } = await add(token, full);
  assert.equal(status, 201);
  const { id, createdAt, ...rest } = body;
  assert.deepEqual(rest, { ...full, name: 'Áda 愛 🏠' });
  assert.ok(Math.abs(Date.now() - Date.parse(createdAt)) < 60_000);
  assert.equal(headers.get('location'), `/api/v1/users/me/addresses/${id}`);
  assert.deepEqual((await list(token)).body, { items: [body], nextCursor: null });
});

test('getAddresses: newest first, page by page, their own only', async () => {
  const [ada, bob] = [await somebodyLoggedIn(service.call), await somebodyLoggedIn(service.call)];
  assert.deepEqual((await list(ada.token)).body, { items: [], nextCursor: null });
  const ids: string[] = [];
  for (let index = 0; index < 5; index += 1)
    ids.unshift((await add(ada.token, { ...home, line1: `${index} Main Street` })).body.id);
  await add(bob.token);
  const seen: string[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { body } = await list(ada.token, `?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
    assert.ok(body.items.length <= 2);
    seen.push(...body.items.map((address: { id: string }) => address.id));
    cursor = body.nextCursor;
  }
  assert.deepEqual(seen, ids);
  assert.equal((await list(bob.token)).body.items.length, 1);
  for (const query of ['?limit=0', '?limit=101', '?cursor=nonsense', '?country=US'])
    assert.equal((await list(ada.token, query)).status, 400, query);
});

test('removeAddress: once; somebody else’s is not there', async () => {
  const [ada, bob] = [await somebodyLoggedIn(service.call), await somebodyLoggedIn(service.call)];
  const { id } = (await add(ada.token)).body;
  const notFound = { status: 404, code: 'address.not-found' };
  assert.deepEqual(problemOf(await remove(bob.token, id)), notFound);
  assert.equal((await list(ada.token)).body.items.length, 1);
  const { status, body } = await remove(ada.token, id.toUpperCase());
  assert.deepEqual([status, body], [204, '']);
  assert.deepEqual((await list(ada.token)).body.items, []);
  assert.deepEqual(problemOf(await remove(ada.token, id)), notFound);
  assert.deepEqual(problemOf(await remove(ada.token, randomUUIDv7())), notFound);
  assert.equal((await remove(ada.token, '7')).status, 404);
  assert.equal((await service.call('GET', `${path}/${id}`, { token: ada.token })).headers.get('allow'), 'DELETE');
});

test('addAddress: 50 and no more, also when many come at once; one that is removed makes room', async () => {
  const { token } = await somebodyLoggedIn(service.call);
  const replies = await Promise.all(Array.from({ length: 55 }, () => add(token)));
  const refused = replies.filter(({ status }) => status !== 201);
  assert.equal(refused.length, 5);
  for (const reply of refused) assert.deepEqual(problemOf(reply), { status: 409, code: 'address.too-many' });
  const { items } = (await list(token, '?limit=100')).body;
  assert.equal(items.length, 50);
  await remove(token, items[0].id);
  assert.deepEqual([(await add(token)).status, (await add(token)).status], [201, 409]);
  const other = await somebodyLoggedIn(service.call);
  assert.equal((await add(other.token)).status, 201);
});

test('addAddress: what is no address is a 422 that names the field, and nothing goes without a token', async () => {
  const { token } = await somebodyLoggedIn(service.call);
  for (const [change, field] of [
    [{ name: undefined }, 'name'],
    [{ line1: '  ' }, 'line1'],
    [{ line2: null }, 'line2'],
    [{ city: 'x'.repeat(101) }, 'city'],
    [{ postalCode: 62701 }, 'postalCode'],
    [{ country: 'us' }, 'country'],
    [{ country: 'USA' }, 'country'],
    [{ country: 'XX' }, 'country'],
    [{ phone: '1' }, 'phone'],
    [{ id: randomUUIDv7() }, 'id'],
  ] as const) {
    const { status, body } = await add(token, { ...home, ...change });
    assert.deepEqual([status, body.errors?.[0]?.path, body.errors?.length], [422, field, 1], JSON.stringify(change));
  }
  assert.deepEqual((await list(token)).body.items, []);
  for (const [method, target] of [
    ['GET', path],
    ['POST', path],
    ['DELETE', `${path}/${randomUUIDv7()}`],
  ] as const)
    assert.equal((await service.call(method, target)).status, 401);
});
