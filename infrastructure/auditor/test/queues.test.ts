// Every message of a queue is counted, also one that waits there to be dead-lettered and that nobody is handed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deadQueueOf } from '@glasshouse/shared/event-bus';
import { createTestBroker, type TestBroker, waitFor } from '@glasshouse/shared/testing';
import { connect } from 'amqplib';
import { readQueues } from '../src/read/queues.ts';

const DEAD = deadQueueOf('order-service');
const managementUrl = process.env.TEST_RABBITMQ_MANAGEMENT_URL ?? '';
let broker: TestBroker;
let vhost: string;

before(async () => {
  broker = await createTestBroker();
  vhost = new URL(broker.url).pathname.slice(1);
});
after(() => broker?.drop());

async function manage(method: string, path: string, body?: unknown): Promise<Response> {
  const { origin, username, password } = new URL(managementUrl);
  const response = await fetch(`${origin}/api/${path}`, {
    method,
    headers: {
      authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      'content-type': 'application/json',
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status}`);
  return response;
}

async function countOf(queue: string): Promise<number | undefined> {
  const queues = await readQueues(managementUrl, vhost);
  return queues.find(({ name }) => name === queue)?.messages;
}

test('readQueues: counts a message that its queue can neither hand out nor send on', async () => {
  await broker.sendToQueue(DEAD, Buffer.from('not JSON'));
  await waitFor('it is counted', async () => (await countOf(DEAD)) === 1);

  const definition = { 'delivery-limit': 1 };
  await manage('PUT', `policies/${vhost}/few`, { pattern: `^${DEAD}$`, 'apply-to': 'queues', definition });
  const connection = await connect(broker.url);
  try {
    // Beyond the limit a dead-letter queue sends on to itself, which the broker takes for a loop.
    await waitFor('nobody is handed it any more', async () => {
      const channel = await connection.createChannel();
      const message = await channel.get(DEAD);
      await channel.close();
      // The counts are a moment old.
      const list = await manage('GET', `queues/${vhost}?disable_stats=true&enable_queue_totals=true`);
      const queues = (await list.json()) as { name: string; messages_ready: number; messages_unacknowledged: number }[];
      const counts = queues.find(({ name }) => name === DEAD);
      return message === false && counts?.messages_ready === 0 && counts.messages_unacknowledged === 0;
    });
  } finally {
    await connection.close();
  }
  assert.equal(await countOf(DEAD), 1);
});
