// A broker that is short of memory takes no messages and still hands them out: what has come is handled and acked, what is to go out waits.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createProcessTable } from '../../infrastructure/local/src/processes.ts';
import { managementRequest, type RabbitMqServer, startRabbitMq } from '../../infrastructure/local/src/servers/index.ts';
import { orderCancelled, paymentFailed } from '../src/contracts/index.ts';
import {
  createBroker,
  createConsumer,
  createOutboxRelay,
  createPublisher,
  deadQueueOf,
  on,
  queueOf,
} from '../src/event-bus/index.ts';
import {
  appendToOutbox,
  createConsumerDatabase,
  createDatabase,
  createOutboxStore,
  type Db,
  inTransaction,
  type Transaction,
} from '../src/postgres/index.ts';
import { createService } from '../src/process/index.ts';
import { createSerialQueue } from '../src/resilience/index.ts';
import { setupContext } from '../src/telemetry/index.ts';
import {
  createTestBroker,
  createTestPostgres,
  quietLogger,
  type TestBroker,
  testEvent,
  waitFor,
} from '../src/testing/index.ts';

setupContext();
const SERVICE = 'order-service';
const root = join(import.meta.dirname, '../..');
const dir = mkdtempSync(join(tmpdir(), 'memory-alarm-'));

let server: RabbitMqServer;
let postgres: Awaited<ReturnType<typeof createTestPostgres>>;
let broker: TestBroker;

before(async () => {
  // An alarm is the whole broker's: this one is nobody else's.
  server = await startRabbitMq({
    dir: join(dir, 'rabbitmq'),
    cacheDir: join(root, '.local/rabbitmq-dist'),
    log: () => {},
    // Whoever clears away what a killed test has left finds it there.
    processes: createProcessTable(join(dir, 'state.json')),
  });
  process.env.TEST_RABBITMQ_URL = server.url;
  process.env.TEST_RABBITMQ_MANAGEMENT_URL = server.managementUrl;
  [postgres, broker] = await Promise.all([
    createTestPostgres(`${import.meta.dirname}/migrations`),
    createTestBroker(SERVICE, 'notification-service'),
  ]);
});
after(async () => {
  await Promise.all([postgres?.drop(), broker?.drop()]);
  await server?.kill();
  rmSync(dir, { recursive: true });
});

/** The connections of the service that is tested, each by its name and its port, which tells it from one that was made anew. */
async function connections(): Promise<{ name: string; port: number }[]> {
  const response = await managementRequest(server.managementUrl, '/api/connections');
  const all = (await response.json()) as { client_properties: { connection_name?: string }; peer_port: number }[];
  return all
    .map(({ client_properties, peer_port }) => ({ name: client_properties.connection_name ?? '', port: peer_port }))
    .filter(({ name }) => name.startsWith(SERVICE))
    .sort((a, b) => a.name.localeCompare(b.name));
}

test('memory alarm: what has come is handled and acked, events and a failed message wait, and all goes on when it is over', async () => {
  const gate = Promise.withResolvers<void>();
  const failed = Array.from({ length: 20 }, () =>
    testEvent(paymentFailed, { orderId: randomUUIDv7(), userId: randomUUIDv7(), code: 'card_declined', message: 'No' }),
  );
  const [faulty, ...sound] = failed;
  assert.ok(faulty !== undefined);
  const attempts = new Map<string, number>();
  let isMended = false;
  async function cancelOrder({ orderId, userId }: { orderId: string; userId: string }, { db }: { db: Db }) {
    attempts.set(orderId, (attempts.get(orderId) ?? 0) + 1);
    await gate.promise;
    if (orderId === faulty?.data.orderId && !isMended) throw new Error('a bug');
    await inTransaction(db, (tx) =>
      appendToOutbox(tx, [orderCancelled.of({ orderId, userId, cancelReason: 'payment_declined' })]),
    );
  }

  const database = createDatabase({ url: postgres.url, service: SERVICE, logger: quietLogger });
  const connection = createBroker({ url: broker.url, service: SERVICE, logger: quietLogger });
  const publisher = createPublisher(connection);
  const store = createOutboxStore(database);
  let claims = 0;
  const relay = createOutboxRelay({
    store: {
      ...store,
      claim(limit) {
        claims += 1;
        return store.claim(limit);
      },
    },
    publisher,
    logger: quietLogger,
    sweepIntervalMs: 100,
  });
  const consumer = createConsumer<Transaction, { db: Db }>({
    broker: connection,
    publisher,
    database: createConsumerDatabase(database),
    subscriptions: [on(paymentFailed, cancelOrder, ({ data }) => data)],
    deps: {},
    logger: quietLogger,
    prefetch: 5,
    // One at a time: even so, the one that waits for the broker does not hold up those behind it.
    runOne: createSerialQueue(),
  });
  const service = createService([database, connection, relay, consumer], quietLogger);
  await service.start();
  try {
    await waitFor('the broker is connected', () => connection.state() === 'up');
    const connected = await waitFor('the broker shows both connections', async () => {
      const shown = await connections();
      return shown.length === 2 && shown;
    });
    assert.deepEqual(
      connected.map(({ name }) => name),
      ['order-service consumer', 'order-service publisher'],
    );

    for (const event of failed) await broker.publish(event);
    await waitFor('the first is being handled', () => attempts.size > 0);
    await server.setMemoryAlarm(true);
    assert.equal(await consumer.hasCaughtUp(), false);
    gate.resolve();

    await waitFor('it is told that the broker takes nothing', () => connection.state() === 'blocked');
    const claimsWhenBlocked = claims;
    const outbox = () => postgres.pool.query('select 1 from outbox').then(({ rowCount }) => rowCount);
    await waitFor('all sound ones are handled', async () => (await outbox()) === sound.length);
    await waitFor('they are acked', async () => {
      const { ready, unacked } = await broker.depth(queueOf(SERVICE));
      return ready === 0 && unacked === 1;
    });
    await waitFor('nobody holds their events', async () => {
      const { rowCount } = await postgres.pool.query('select from outbox where claimed_until < clock_timestamp()');
      return rowCount === sound.length;
    });
    // Once more than its fault: it was being sent when the broker stopped to read.
    await waitFor('the faulty one is held', () => attempts.get(faulty.data.orderId) === 2);
    assert.equal(await consumer.hasCaughtUp(), false, 'what we wait for could not have been sent');
    assert.equal(claims, claimsWhenBlocked, 'nothing is claimed to be given back');
    assert.equal(broker.eventsOf(orderCancelled).length, 0);
    assert.equal(connection.state(), 'blocked');

    isMended = true;
    await server.setMemoryAlarm(false);
    for (const { data } of sound)
      await waitFor('the event is out', () => broker.eventsOf(orderCancelled, data.orderId).length > 0);
    await waitFor('the faulty one was retried', () => broker.eventsOf(orderCancelled, faulty.data.orderId).length > 0);
    await waitFor('the outbox is empty', async () => (await outbox()) === 0);
    await waitFor('it has caught up', () => consumer.hasCaughtUp());
    assert.equal(connection.state(), 'up');
    assert.deepEqual(await connections(), connected, 'no connection was lost');
    assert.equal(await broker.take(deadQueueOf(SERVICE)), undefined);
  } finally {
    gate.resolve();
    await server.setMemoryAlarm(false);
    await service.stop();
  }
});
