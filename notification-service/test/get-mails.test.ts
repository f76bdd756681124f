// Who sees which mails, page by page, and what is answered to requests that make no sense.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import { aCustomer, createWorld, eventsAbout, type Running, registered, type World } from './support.ts';

let world: World;
let service: Running;
const ann = aCustomer();
const bob = aCustomer();
const annsOrders = [randomUUIDv7(), randomUUIDv7()];
const bobsOrder = randomUUIDv7();

before(async () => {
  world = await createWorld();
  service = await world.start();
  await world.tell(registered(ann), registered(bob));
  for (const orderId of annsOrders) await world.tell(...Object.values(eventsAbout(ann.userId, orderId)));
  await world.tell(eventsAbout(bob.userId, bobsOrder).confirmed);
  await Promise.all([world.sent(service, ann.userId, 10), world.sent(service, bob.userId, 1)]);
});
after(() => world.stop());

const get = (query: string, token = world.keys.token(ann.userId)) =>
  service.call('GET', `/v1/notifications${query}`, { token });
const admin = () => world.keys.token(randomUUIDv7(), ['customer', 'admin']);

test('getMails: a customer sees their own mails, newest first', async () => {
  const { status, headers, body } = await get('');
  assert.equal(status, 200);
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.equal(body.nextCursor, null);
  const ids: string[] = body.items.map((mail: { id: string }) => mail.id);
  assert.equal(ids.length, 10);
  assert.deepEqual(ids, ids.toSorted().reverse());
  assert.ok(body.items.every((mail: { to: string }) => mail.to === ann.email));
});

test("getMails: somebody else's mails are not there, also when asked for by order", async () => {
  assert.deepEqual((await get(`?orderId=${bobsOrder}`)).body, { items: [], nextCursor: null });
  const stranger = world.keys.token(randomUUIDv7());
  assert.deepEqual((await get('', stranger)).body, { items: [], nextCursor: null });
});

test('getMails: an admin sees all, and the mails of one order', async () => {
  assert.equal((await get('?limit=100', admin())).body.items.length, 11);
  const { body } = await get(`?orderId=${bobsOrder.toUpperCase()}`, admin());
  assert.deepEqual(
    body.items.map((mail: { orderId: string; to: string }) => [mail.orderId, mail.to]),
    [[bobsOrder, bob.email]],
  );
});

test('getMails: pages hold every mail once', async () => {
  const seen: string[] = [];
  let query: string | undefined = '?limit=3';
  for (let page = 1; query !== undefined; page += 1) {
    assert.ok(page <= 4, 'there is no end of pages');
    const { body } = await get(query);
    assert.equal(body.items.length, page < 4 ? 3 : 1);
    seen.push(...body.items.map((mail: { id: string }) => mail.id));
    query = body.nextCursor === null ? undefined : `?limit=3&cursor=${body.nextCursor}`;
  }
  assert.equal(seen.length, 10);
  assert.equal(new Set(seen).size, 10);
  assert.equal((await get(`?orderId=${annsOrders[0]}&limit=100`)).body.items.length, 5);
});

test('getMails: a query that makes no sense is a 400 that names what is wrong', async () => {
  const queries: [string, string | undefined][] = [
    ['?limit=0', 'limit'],
    ['?limit=101', 'limit'],
    ['?limit=many', 'limit'],
    ['?limit=1&limit=2', 'limit'],
    ['?orderId=7', 'orderId'],
    [`?orderId=${bobsOrder}%00`, 'orderId'],
    [`?orderId=${bobsOrder}&orderId=${bobsOrder}`, 'orderId'],
    ['?orderId[$ne]=7', 'orderId[$ne]'],
    ['?status=sent', 'status'],
    ['?cursor=', 'cursor'],
    ['?cursor=nonsense', undefined],
    [`?cursor=${Buffer.from('{"$gt":""}').toString('base64url')}`, undefined],
    [`?cursor=${Buffer.from('"\u0000"').toString('base64url')}`, undefined],
  ];
  for (const [query, path] of queries) {
    const { status, headers, body } = await get(query);
    assert.deepEqual([status, body.code, body.errors?.[0]?.path], [400, 'query.invalid', path], query);
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
    assert.equal(body.instance, '/api/v1/notifications');
  }
});

test('getMails: without a good token it is a 401, before the query is looked at', async () => {
  for (const token of [undefined, 'nonsense', world.keys.token('nobody')]) {
    const { status, body } = await service.call(
      'GET',
      '/v1/notifications?limit=0',
      token === undefined ? {} : { token },
    );
    assert.deepEqual([status, body.status], [401, 401]);
  }
});

test('another method is a 405 that names the allowed ones, another path a 404', async () => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const body = method === 'DELETE' ? undefined : 'x'.repeat(200_000);
    const reply = await service.call(method, '/v1/notifications', { body, token: admin() });
    assert.deepEqual([reply.status, reply.headers.get('allow')], [405, 'GET, HEAD'], method);
  }
  for (const path of ['/v1/notifications/7', '/v1/mails', '/v1/notifications%00', '/'])
    assert.equal((await service.call('GET', path, { token: admin() })).status, 404, path);
});

test('the service is live and ready, and tells of broker and mail server', async () => {
  assert.deepEqual((await service.call('GET', '/health')).body, { status: 'live' });
  const { status, body } = await waitFor('the service is ready', async () => {
    const reply = await service.call('GET', '/ready');
    return reply.status === 200 && reply;
  });
  assert.deepEqual(
    [status, body],
    [200, { status: 'ready', database: 'up', keys: 'up', broker: 'up', mailServer: 'up' }],
  );
});
