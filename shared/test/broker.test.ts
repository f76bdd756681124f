// A connection to the broker that ends at the worst moment: while it is being set up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBroker, createPublisher, EVENT_EXCHANGE } from '@glasshouse/shared/event-bus';
import { createTestBroker, quietLogger, testEvent, waitFor } from '@glasshouse/shared/testing';
import type { ChannelModel } from 'amqplib';
import { orderShipped } from '../src/contracts/index.ts';

test('a connection that is lost while it is set up: another one is made, and messages go out', async (t) => {
  const { url, drop, eventsOf } = await createTestBroker();
  const broker = createBroker({ url, service: 'order-service', logger: quietLogger });
  const publisher = createPublisher(broker);
  let connections = 0;
  let latest: ChannelModel | undefined;
  broker.publishing.keepChannel(
    (connection) => {
      latest = connection;
      return connection.createChannel();
    },
    async () => {
      connections += 1;
      if (connections === 1) await latest?.close();
    },
    () => {},
  );
  await broker.start();
  t.after(async () => {
    await broker.stop();
    await drop();
  });

  const orderId = '01a20000-0000-7000-8000-000000000001';
  const event = testEvent(orderShipped, { orderId, userId: orderId });
  await waitFor(
    'a message goes out',
    () =>
      publisher
        .publish(EVENT_EXCHANGE, event.type, Buffer.from(JSON.stringify(event)), { messageId: event.id })
        .then(() => true),
    20_000,
  );
  await waitFor('it has arrived', () => eventsOf(orderShipped, orderId).length > 0);
  await waitFor('all is up', () => broker.state() === 'up');
  assert.equal(connections, 2);
});
