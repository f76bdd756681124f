// The way of an event through the chassis: outbox, relay, queue, consumer, inbox; and what happens when a part of it fails.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { orderCancelled, orderShipped } from '../src/contracts/index.ts';
import {
  type ConsumerDatabase,
  createBroker,
  createConsumer,
  createOutboxRelay,
  createPublisher,
  deadQueueOf,
  on,
  queueOf,
  RETRY_DELAYS_S,
  retryExchangeOf,
  retryQueueOf,
} from '../src/event-bus/index.ts';
import {
  appendToOutbox,
  createConsumerDatabase,
  createDatabase,
  createOutboxStore,
  type Database,
  type Db,
  inTransaction,
  type Transaction,
} from '../src/postgres/index.ts';
import { createService, type Service } from '../src/process/index.ts';
import { currentCause, runWork, setupContext } from '../src/telemetry/index.ts';
import {
  createTestBroker,
  createTestPostgres,
  quietLogger,
  type TestBroker,
  testEvent,
  waitFor,
} from '../src/testing/index.ts';

setupContext();
const SERVICE = 'notification-service';
const MAIN = queueOf(SERVICE);
const DEAD = deadQueueOf(SERVICE);

let postgres: Awaited<ReturnType<typeof createTestPostgres>>;
let broker: TestBroker;
const services: Service[] = [];

before(async () => {
  [postgres, broker] = await Promise.all([createTestPostgres(`${import.meta.dirname}/migrations`), createTestBroker()]);
});
after(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await Promise.all([postgres.drop(), broker.drop()]);
});

/** What the handler does beside counting, by order. */
const mischief = new Map<string, () => void | Promise<void>>();
const causes = new Map<string, ReturnType<typeof currentCause>>();

async function countHandling({ orderId }: { orderId: string }, { db }: { db: Db }): Promise<void> {
  await inTransaction(db, async (tx) => {
    await tx.query(
      'insert into counts values ($1, 1) on conflict (order_id) do update set handled = counts.handled + 1',
      [orderId],
    );
    causes.set(orderId, currentCause());
    await mischief.get(orderId)?.();
  });
}

/** A consumer as a service has it. */
async function startConsumer(
  change: (database: ConsumerDatabase<Transaction>) => Partial<ConsumerDatabase<Transaction>> = () => ({}),
  prefetch = 5,
) {
  const database = createDatabase({ url: postgres.url, service: SERVICE, logger: quietLogger });
  const connection = createBroker({ url: broker.url, service: SERVICE, logger: quietLogger });
  const publisher = createPublisher(connection);
  const real = createConsumerDatabase(database);
  const subscriptions = [
    on(orderCancelled, countHandling, ({ data }) => ({ orderId: data.orderId })),
    on(orderShipped, countHandling, ({ data }) => ({ orderId: data.orderId })),
  ];
  const consumer = createConsumer<Transaction, { db: Db }>({
    broker: connection,
    publisher,
    database: { ...real, ...change(real) },
    subscriptions,
    deps: {},
    logger: quietLogger,
    prefetch,
  });
  const service = createService([database, connection, consumer], quietLogger);
  await service.start();
  services.push(service);
  return { consumer, service };
}

/** A relay as a service has it; `order-service` is who tells of orders. */
async function startRelay(url = broker.url): Promise<{ database: Database; service: Service }> {
  const database = createDatabase({ url: postgres.url, service: 'order-service', logger: quietLogger });
  const connection = createBroker({ url, service: 'order-service', logger: quietLogger });
  const publisher = createPublisher(connection);
  const relay = createOutboxRelay({
    store: createOutboxStore(database),
    publisher,
    logger: quietLogger,
    sweepIntervalMs: 100,
  });
  const service = createService([database, relay, connection], quietLogger);
  await service.start();
  services.push(service);
  await waitFor('the broker is connected', () => connection.state() === 'up');
  return { database, service };
}

const cancelled = (orderId = randomUUIDv7()) =>
  testEvent(orderCancelled, { orderId, userId: randomUUIDv7(), cancelReason: 'timeout' });
const handled = async (orderId: string): Promise<number | undefined> => {
  const { rows } = await postgres.pool.query('select handled from counts where order_id = $1', [orderId]);
  return rows[0]?.handled;
};
const outboxSize = async () =>
  (await postgres.pool.query('select count(*)::int as rows from outbox')).rows[0].rows as number;
const queueIsEmpty = () =>
  waitFor('the queue is empty', async () => {
    const { ready, unacked } = await broker.depth(MAIN);
    return ready + unacked === 0;
  });

test('consumer: handles an event once, however often it comes, within its trace and as its cause', async () => {
  await startConsumer();
  const event = cancelled();
  await Promise.all([1, 2, 3, 4, 5].map(() => broker.publish(event)));
  await waitFor('the event is handled', async () => (await handled(event.data.orderId)) === 1);
  await queueIsEmpty();
  assert.equal(await handled(event.data.orderId), 1);
  const cause = causes.get(event.data.orderId);
  assert.equal(cause?.causationId, event.id);
  assert.equal(cause?.correlationId, event.correlationid);
});

test('consumer: parks what no attempt can help, with the reason, while the queue goes on', async () => {
  const unknown = { ...cancelled(), type: 'order.teleported' };
  const wrong = { ...cancelled(), data: { orderId: 'x' } };
  const good = cancelled();
  await broker.sendToQueue(MAIN, Buffer.from('not JSON'));
  await broker.sendToQueue(MAIN, Buffer.from(JSON.stringify(unknown)));
  await broker.sendToQueue(MAIN, Buffer.from(JSON.stringify(wrong)));
  await broker.publish(good);
  await waitFor('the good one is handled', async () => (await handled(good.data.orderId)) === 1);
  const reasons: string[] = [];
  for (let count = 0; count < 3; count += 1) {
    const parked = await waitFor('a message is parked', () => broker.take(DEAD));
    reasons.push(String(parked.headers['x-reason']));
    assert.equal(parked.headers['x-attempts'], 1);
  }
  assert.match(reasons.sort().join('\n'), /not JSON[\s\S]*order\.cancelled: [\s\S]*unknown type order\.teleported/);
});

test('consumer: a handler that fails leaves nothing behind, and is tried again after a delay', async () => {
  const event = cancelled();
  const attemptedAt: number[] = [];
  const lookedAt = Promise.withResolvers<void>();
  mischief.set(event.data.orderId, () => {
    attemptedAt.push(performance.now());
    if (attemptedAt.length < 2) throw new Error('a bug');
    return lookedAt.promise;
  });
  await broker.publish(event);
  await waitFor('the first attempt has failed', () => attemptedAt.length > 0);
  assert.equal(await handled(event.data.orderId), undefined);
  lookedAt.resolve();
  await waitFor('the second attempt is through', async () => (await handled(event.data.orderId)) === 1);
  const [first = 0, second = 0] = attemptedAt;
  assert.ok(second - first >= 1_000, `tried again after ${second - first} ms`);
});

test('consumer: each failure is counted and waits longer than the one before; nothing else of the message changes', async () => {
  // Who waits for one second only is gone before it can be looked at.
  for (const [failures, seconds] of RETRY_DELAYS_S.entries()) {
    if (seconds === 1) continue;
    const event = cancelled();
    const content = Buffer.from(JSON.stringify(event));
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    mischief.set(event.data.orderId, () => {
      throw new Error(`a bug, for the ${failures + 1}. time`);
    });
    await broker.sendToQueue(MAIN, content, { 'x-attempts': failures, traceparent });
    const waiting = await waitFor(`it waits for ${seconds} s`, () => broker.take(retryQueueOf(SERVICE, seconds)));
    assert.deepEqual(waiting.content, content);
    assert.equal(waiting.headers['x-attempts'], failures + 1);
    assert.equal(waiting.headers['x-reason'], `Error: a bug, for the ${failures + 1}. time`);
    assert.equal(waiting.headers.traceparent, traceparent);
    assert.match(waiting.messageId ?? '', new RegExp(`^[0-9a-f-]{36}#${failures + 1}$`));
  }
});

test('consumer: after five attempts a message is parked; sent to the queue again after the fix, it is handled', async () => {
  const event = cancelled();
  mischief.set(event.data.orderId, () => {
    throw new Error('a bug that stays');
  });
  await broker.sendToQueue(MAIN, Buffer.from(JSON.stringify(event)), { 'x-attempts': 5 });
  const parked = await waitFor('the message is parked', () => broker.take(DEAD));
  assert.equal(parked.headers['x-attempts'], 6);
  assert.match(String(parked.headers['x-reason']), /a bug that stays/);
  assert.ok(Date.now() - Date.parse(String(parked.headers['x-failed-at'])) < 60_000);
  mischief.delete(event.data.orderId);
  await broker.sendToQueue(MAIN, parked.content);
  await waitFor('it is handled', async () => (await handled(event.data.orderId)) === 1);
});

test('consumer: contention repeats the work in place and counts no attempt', async () => {
  const event = cancelled();
  let tries = 0;
  mischief.set(event.data.orderId, () => {
    tries += 1;
    if (tries < 12) throw Object.assign(new Error('could not serialize'), { code: '40001' });
  });
  await broker.publish(event);
  await waitFor('it is handled', async () => (await handled(event.data.orderId)) === 1);
  assert.equal(tries, 12);
  assert.equal(await broker.take(DEAD), undefined);
});

test('consumer: contention that lasts goes back to the queue, uncounted', async () => {
  await Promise.all(services.splice(0).map((service) => service.stop()));
  let refusals = 0;
  await startConsumer((real) => ({
    async handleOnce(eventId, work) {
      // What is left when the transaction was repeated for its longest time.
      refusals += 1;
      if (refusals <= 8) throw Object.assign(new Error('could not serialize'), { code: '40001' });
      return real.handleOnce(eventId, work);
    },
  }));
  const event = cancelled();
  await broker.sendToQueue(MAIN, Buffer.from(JSON.stringify(event)), { 'x-attempts': 5 });
  await waitFor('it is handled', async () => (await handled(event.data.orderId)) === 1);
  assert.equal(refusals, 9);
  assert.equal(await broker.take(DEAD), undefined);
});

test('consumer: a duplicate key that stays is a bug: counted, and parked with the reason', async () => {
  const event = cancelled();
  let tries = 0;
  mischief.set(event.data.orderId, () => {
    tries += 1;
    throw Object.assign(new Error('duplicate key value'), { code: '23505' });
  });
  await broker.sendToQueue(MAIN, Buffer.from(JSON.stringify(event)), { 'x-attempts': 5 });
  const parked = await waitFor('the message is parked', () => broker.take(DEAD));
  assert.equal(parked.headers['x-attempts'], 6);
  assert.match(String(parked.headers['x-reason']), /duplicate key value/);
  assert.ok(tries > 1, 'it was repeated in place first');
});

test('consumer: pauses while the database is down, gives back what it holds, parks nothing, and goes on when it takes writes', async () => {
  await Promise.all(services.splice(0).map((service) => service.stop()));
  let isDown = true;
  const refuse = () => {
    if (isDown) throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  };
  const { consumer } = await startConsumer((real) => ({
    async handleOnce(eventId, work) {
      refuse();
      return real.handleOnce(eventId, work);
    },
    async probeWrite() {
      refuse();
      await real.probeWrite();
    },
  }));
  const events = Array.from({ length: 20 }, () => cancelled());
  for (const event of events) await broker.publish(event);
  await waitFor('it has paused', () => consumer.state().paused && !consumer.state().consuming);
  await waitFor('all are back in the queue', async () => (await broker.depth(MAIN)).ready === events.length);
  assert.equal(await consumer.hasCaughtUp(), false);
  isDown = false;
  for (const event of events) await waitFor('each is handled', async () => (await handled(event.data.orderId)) === 1);
  assert.equal(consumer.state().paused, false);
  assert.equal(await broker.take(DEAD), undefined);
  await waitFor('it has caught up', () => consumer.hasCaughtUp());
});

test('consumer: a stop lets what is under way end, and leaves the rest in the queue', async () => {
  await Promise.all(services.splice(0).map((service) => service.stop()));
  /** What holds an event before its transaction begins, which would not last as long. */
  const holds = new Map<string, () => Promise<void>>();
  const holding = (real: ConsumerDatabase<Transaction>): Partial<ConsumerDatabase<Transaction>> => ({
    async handleOnce(eventId, work) {
      await holds.get(eventId)?.();
      return real.handleOnce(eventId, work);
    },
  });
  const { service } = await startConsumer(holding, 2);
  const hold = async () => {
    const event = cancelled();
    const [entered, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    holds.set(event.id, () => {
      entered.resolve();
      return release.promise;
    });
    await broker.publish(event);
    await entered.promise;
    return { orderId: event.data.orderId, release: () => release.resolve() };
  };
  const [first, second] = [await hold(), await hold()];
  const stopped = service.stop();
  const late = cancelled();
  try {
    await broker.publish(late);
    first.release();
    await waitFor('there is room for another', async () => {
      const { ready, unacked } = await broker.depth(MAIN);
      return ready === 1 && unacked === 1;
    });
  } finally {
    first.release();
    second.release();
  }
  await stopped;
  assert.deepEqual(await Promise.all([first, second].map(({ orderId }) => handled(orderId))), [1, 1]);
  assert.equal(await handled(late.data.orderId), undefined);
  await waitFor('only the late one waits', async () => (await broker.depth(MAIN)).ready === 1);
});

test('outbox: what is committed is published once and removed; what is rolled back never is', async () => {
  const { database } = await startRelay();
  const kept = orderShipped.of({ orderId: randomUUIDv7(), userId: randomUUIDv7() });
  const dropped = orderShipped.of({ orderId: randomUUIDv7(), userId: randomUUIDv7() });
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await runWork({ correlationId: 'request-1', traceparent }, { name: 'test' }, () =>
    inTransaction(database, (tx) => appendToOutbox(tx, [kept])),
  );
  await assert.rejects(
    inTransaction(database, async (tx) => {
      await appendToOutbox(tx, [dropped]);
      throw new Error('no');
    }),
  );
  const [event] = await waitFor('the event is out', () => {
    const found = broker.eventsOf(orderShipped, kept.subject);
    return found.length > 0 && found;
  });
  assert.equal(event?.correlationid, 'request-1');
  assert.equal(event?.source, 'order-service');
  assert.deepEqual(event?.data, kept.data);
  await waitFor('the outbox is empty', async () => (await outboxSize()) === 0);
  assert.equal(broker.eventsOf(orderShipped, dropped.subject).length, 0);
  assert.equal(broker.eventsOf(orderShipped, kept.subject).length, 1);
});

test('outbox: a sweep finds what a crash left behind, once its claim has ended, and two relays share the work', async () => {
  await startRelay();
  await startRelay();
  const orderIds = Array.from({ length: 300 }, () => randomUUIDv7());
  for (const orderId of orderIds) {
    const event = testEvent(orderShipped, { orderId, userId: randomUUIDv7() });
    await postgres.pool.query("insert into outbox values ($1, $2, $3, '-infinity')", [
      event.id,
      event,
      '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    ]);
  }
  await waitFor('all are out', () => orderIds.every((orderId) => broker.eventsOf(orderShipped, orderId).length > 0));
  await waitFor('the outbox is empty', async () => (await outboxSize()) === 0);
  for (const orderId of orderIds) assert.equal(broker.eventsOf(orderShipped, orderId).length, 1, 'published twice');
});

test('publisher: a message that reaches no queue counts as not sent, one that does is confirmed', async () => {
  const connection = createBroker({ url: broker.url, service: SERVICE, logger: quietLogger });
  const publisher = createPublisher(connection);
  const ready = new Promise<void>((resolve) => publisher.onReady(resolve));
  const service = createService([connection], quietLogger);
  services.push(service);
  await assert.rejects(
    publisher.publish(retryExchangeOf(SERVICE), '1s', Buffer.from('x'), { messageId: '0' }),
    /no connection/,
  );
  await service.start();
  await ready;
  await assert.rejects(
    publisher.publish(retryExchangeOf(SERVICE), 'nowhere', Buffer.from('x'), { messageId: '1' }),
    /no queue takes nowhere/,
  );
  await publisher.publish(retryExchangeOf(SERVICE), '60s', Buffer.from('x'), { messageId: '2' });
  await service.stop();
  await assert.rejects(
    publisher.publish(retryExchangeOf(SERVICE), '60s', Buffer.from('x'), { messageId: '3' }),
    /no connection/,
  );
});
