// What happens to the service when the broker, the database or the keys are gone, and when it is told to stop.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { orderConfirmed, orderCreated, paymentCaptured } from '@glasshouse/shared/contracts';
import { createTcpProxy, type TcpProxy, waitFor } from '@glasshouse/shared/testing';
import { loadConfig } from '../src/config.ts';
import { aProduct, createWorld, orderOf, post, type Running, type World } from './support.ts';

let world: World;
let toBroker: TcpProxy;
let toDatabase: TcpProxy;
let service: Running;
const kettle = aProduct(1999);

before(async () => {
  world = await createWorld();
  world.products.sell(kettle);
  [toBroker, toDatabase] = await Promise.all([createTcpProxy(world.broker.url), createTcpProxy(world.postgres.url)]);
  service = await world.start({ RABBITMQ_URL: toBroker.url, DATABASE_URL: toDatabase.url });
});
after(async () => {
  await world.stop();
  await Promise.all([toBroker.stop(), toDatabase.stop()]);
});

const readiness = async (running = service) => {
  const { status, body } = await running.call('GET', '/ready');
  return { code: status, ...body };
};
const isReady = (running = service) => waitFor('it is ready', async () => (await readiness(running)).code === 200);

test('broker gone: orders are taken, the service stays ready, and the events come out when it is back', async () => {
  await waitFor('the broker is connected', async () => (await readiness()).broker === 'up');
  toBroker.cut();
  await waitFor('the loss is seen', async () => (await readiness()).broker === 'down');
  const { userId, token } = world.customer();
  const replies = await Promise.all(Array.from({ length: 5 }, () => post(service, token, orderOf(kettle))));
  for (const { status } of replies) assert.equal(status, 201);
  assert.deepEqual(await readiness(), { code: 200, status: 'ready', database: 'up', keys: 'up', broker: 'down' });
  const [first] = replies;
  const orderId: string = first?.body.id;
  await world.tell(paymentCaptured, { orderId, userId, paymentId: orderId, amount: { amount: 3998, currency: 'USD' } });
  assert.equal(world.broker.eventsOf(orderCreated).length, 0);
  toBroker.restore();
  for (const { body } of replies)
    await waitFor('order.created is out', () => world.broker.eventsOf(orderCreated, body.id).length === 1);
  await waitFor('what waited in the queue is heard', () => world.broker.eventsOf(orderConfirmed, orderId).length === 1);
});

test('database gone: alive but not ready, requests are a 503 with Retry-After, and all is well when it is back', async () => {
  await isReady();
  const { userId, token } = world.customer();
  const { body: order } = await post(service, token, orderOf(kettle));
  toDatabase.cut();
  const gone = await waitFor('it is not ready', async () => {
    const state = await readiness();
    return state.code === 503 && state;
  });
  assert.deepEqual({ status: gone.status, database: gone.database }, { status: 'not ready', database: 'down' });
  assert.equal((await service.call('GET', '/health')).status, 200);
  const key = randomUUIDv7();
  for (const reply of [
    await service.call('GET', `/v1/orders/${order.id}`, { token }),
    await post(service, token, orderOf(kettle), key),
  ]) {
    assert.equal(reply.status, 503);
    assert.equal(reply.body.code, 'database.unavailable');
    assert.match(reply.headers.get('retry-after') ?? '', /^\d+$/);
  }
  await world.tell(paymentCaptured, { orderId: order.id, userId, paymentId: order.id, amount: order.total });
  toDatabase.restore();
  await isReady();
  assert.equal((await post(service, token, orderOf(kettle), key)).status, 201);
  await waitFor('the fact that came meanwhile is handled', () => world.broker.eventsOf(orderConfirmed, order.id)[0]);
});

test('keys never fetched: not ready, and a token is answered with 503 and Retry-After', async () => {
  const keyless = await world.start({ USER_SERVICE_URL: 'http://127.0.0.1:1' });
  const state = await readiness(keyless);
  assert.deepEqual([state.code, state.keys, state.database], [503, 'down', 'up']);
  const { token } = world.customer();
  const reply = await keyless.call('GET', '/v1/orders', { token });
  assert.equal(reply.status, 503);
  assert.match(reply.headers.get('retry-after') ?? '', /^\d+$/);
  await keyless.stop();
});

test('stop: a request in flight is answered and its event is out before the service ends, soon after', async () => {
  const stopping = await world.start();
  await waitFor('the broker is connected', async () => (await readiness(stopping)).broker === 'up');
  const unheard = aProduct();
  world.products.sell(unheard);
  const release = world.products.hold();
  const { token } = world.customer();
  const reply = post(stopping, token, orderOf(unheard));
  await waitFor('product-service is asked', () => world.products.asked.includes(unheard.id));
  const stopped = stopping.stop();
  await waitFor('it takes no more requests', () =>
    fetch(`${stopping.url}/health`).then(
      () => false,
      () => true,
    ),
  );
  const releasedAt = performance.now();
  release();
  const { status, body } = await reply;
  assert.equal(status, 201);
  await stopped;
  assert.ok(performance.now() - releasedAt < 4_000, 'a kept-alive connection must not hold the stop up');
  const { rows } = await world.postgres.pool.query("select event from outbox where event ->> 'subject' = $1", [
    body.id,
  ]);
  assert.deepEqual(rows, [], 'nothing is left for the next start');
  await waitFor('the event is out', () => world.broker.eventsOf(orderCreated, body.id).length === 1);
});

test('settings: every wrong or missing one is named at once, and no value is told', () => {
  const wrong = {
    PORT: '70000',
    DATABASE_URL: 'mysql://root:hunter2@localhost/orders',
    RABBITMQ_URL: '',
    SAGA_TIMEOUT_S: '0',
    PRODUCT_SERVICE_URL: 'http://localhost:3002,localhost:3102',
    CONSUMER_PREFETCH: 'many',
    LOG_LEVEL: 'loud',
  };
  assert.throws(
    () => loadConfig(wrong),
    (error: Error) => {
      assert.equal(error.name, 'ConfigError');
      for (const name of Object.keys(wrong)) assert.ok(error.message.includes(`  ${name}: `), `${name} is not named`);
      assert.match(error.message, /RABBITMQ_URL: is missing/);
      assert.doesNotMatch(error.message, /hunter2|many|loud/);
      return true;
    },
  );
});
