// Reading orders over HTTP: whose they are, pages, filters, and how everything that is wrong is answered.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { aProduct, createWorld, orderOf, post, type Running, type World } from './support.ts';

let world: World;
let service: Running;
const kettle = aProduct();

before(async () => {
  world = await createWorld();
  service = await world.start();
  world.products.sell(kettle);
});
after(() => world.stop());

const admin = () => world.keys.token(randomUUIDv7(), ['admin']);

test('orders: their user and an admin see them; for anyone else they do not exist', async () => {
  const [ada, bob] = [world.customer(), world.customer()];
  const { body: order } = await post(service, ada.token, orderOf(kettle));
  const paths = [`/v1/orders/${order.id}`, `/v1/orders/${order.id}/timeline`];
  for (const path of paths) {
    for (const token of [ada.token, admin()]) assert.equal((await service.call('GET', path, { token })).status, 200);
    const foreign = await service.call('GET', path, { token: bob.token });
    const missing = await service.call('GET', path.replace(order.id, randomUUIDv7()), { token: bob.token });
    assert.deepEqual([foreign.status, missing.status], [404, 404]);
    assert.equal(foreign.body.code, 'order.not-found');
    assert.deepEqual(Object.keys(foreign.body), Object.keys(missing.body), 'the two look alike');
    assert.equal((await service.call('GET', path)).status, 401);
    assert.equal((await service.call('GET', path, { token: 'not.a.token' })).status, 401);
  }
  assert.equal(
    (await service.call('GET', paths[0]?.toUpperCase().replace('V1/ORDERS', 'v1/orders') ?? '', { token: ada.token }))
      .status,
    200,
  );
});

test('orders: newest first, page by page, none twice and none left out', async () => {
  const { userId, token } = world.customer();
  const ids: string[] = [];
  for (let count = 0; count < 5; count += 1) ids.unshift((await post(service, token, orderOf(kettle))).body.id);
  const pages: string[][] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const { status, body } = await service.call('GET', `/v1/orders?limit=2${query}`, { token });
    assert.equal(status, 200);
    for (const order of body.items) assert.equal(order.userId, userId);
    pages.push(body.items.map((order: { id: string }) => order.id));
    cursor = body.nextCursor;
  }
  assert.deepEqual(pages, [ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  const whole = await service.call('GET', '/v1/orders?limit=5', { token });
  assert.equal(whole.body.nextCursor, null, 'a page that is exactly full is the last one');
  assert.equal((await service.call('GET', '/v1/orders', { token })).body.items.length, 5);
});

test('orders: by status; an admin sees those of all', async () => {
  const [ada, bob] = [world.customer(), world.customer()];
  const [hers, confirmed] = [
    await post(service, ada.token, orderOf(kettle)),
    await post(service, ada.token, orderOf(kettle)),
  ];
  const his = await post(service, bob.token, orderOf(kettle));
  await world.postgres.pool.query("update orders set status = 'shipped' where id = $1", [confirmed.body.id]);
  const list = async (token: string, query: string): Promise<string[]> =>
    (await service.call('GET', `/v1/orders?limit=100${query}`, { token })).body.items.map(
      (order: { id: string }) => order.id,
    );
  assert.deepEqual(await list(ada.token, '&status=shipped'), [confirmed.body.id]);
  assert.deepEqual(await list(ada.token, '&status=pending'), [hers.body.id]);
  assert.deepEqual(await list(ada.token, '&status=delivered'), []);
  const all = await list(admin(), '');
  for (const { body } of [hers, confirmed, his]) assert.ok(all.includes(body.id));
  assert.deepEqual(await list(admin(), '&status=shipped'), [confirmed.body.id]);
});

test('orders: a query that is wrong is a 400', async () => {
  const { token } = world.customer();
  const text = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  for (const query of [
    'limit=0',
    'limit=101',
    'limit=1.5',
    'limit=many',
    'limit=',
    'limit=2&limit=3',
    'status=lost',
    'status=',
    'page=2',
    'cursor=',
    'cursor=%00',
    'cursor=nonsense',
    `cursor=${text('not an id')}`,
    `cursor=${text({ id: 1 })}`,
    `cursor=${text(`${randomUUIDv7()}'; drop table orders`)}`,
    `cursor=${'x'.repeat(501)}`,
  ]) {
    const { status, body, headers } = await service.call('GET', `/v1/orders?${query}`, { token });
    assert.equal(status, 400, `${query}: ${JSON.stringify(body)}`);
    assert.equal(body.code, 'query.invalid');
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
  }
});

test('HTTP: an id that is no UUID, a path that is none: 404; another method: 405 with Allow', async () => {
  const { token } = world.customer();
  for (const path of [
    '/v1/orders/7',
    '/v1/orders/%00',
    '/v1/orders/%E0%A4%A',
    '/v1/orders/7/timeline',
    '/v1/order',
    '/',
    '/v2/orders',
  ])
    assert.equal((await service.call('GET', path, { token })).status, 404, path);
  for (const [method, path, allow] of [
    ['PUT', '/v1/orders', 'POST, GET, HEAD'],
    ['DELETE', `/v1/orders/${randomUUIDv7()}`, 'GET, HEAD'],
    ['POST', `/v1/orders/${randomUUIDv7()}/timeline`, 'GET, HEAD'],
  ] as const) {
    const { status, headers, body } = await service.call(method, path, { token });
    assert.equal(status, 405, path);
    assert.equal(headers.get('allow'), allow);
    assert.equal(body.instance, `/api${path}`);
  }
});

test('HTTP: 401 before 415 before 413 before 400, each as a problem with a trace id', async () => {
  const { token } = world.customer();
  const send = async (body: string, type: string | undefined, authorization = `Bearer ${token}`) => {
    const headers = {
      authorization,
      'idempotency-key': randomUUIDv7(),
      ...(type !== undefined && { 'content-type': type }),
    };
    const response = await fetch(`${service.url}/v1/orders`, { method: 'POST', headers, body: Buffer.from(body) });
    const problem = (await response.json()) as { status: number; traceId: string; code: string };
    assert.equal(problem.status, response.status);
    assert.match(problem.traceId, /^[0-9a-f]{32}$/);
    return problem.code;
  };
  const large = JSON.stringify({ ...orderOf(kettle), padding: 'x'.repeat(100_001) });
  assert.equal(await send(large, 'text/plain', 'Bearer nobody'), 'token.invalid');
  assert.equal(await send(large, 'text/plain'), 'body.unsupported-type');
  assert.equal(await send('{}', undefined), 'body.unsupported-type');
  assert.equal(await send('{}', 'application/json; charset=iso-8859-1'), 'body.unsupported-type');
  assert.equal(await send(large, 'application/json'), 'body.too-large');
  for (const broken of ['{', '{"items":', 'order', '"\u0000"', '[1,]'])
    assert.equal(await send(broken, 'application/json'), 'body.malformed', broken);
  assert.equal(await send('{"__proto__": {}}', 'application/json'), 'body.invalid');
});
