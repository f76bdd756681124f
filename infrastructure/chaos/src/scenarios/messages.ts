// Messages that come five times, that come in reverse, and that nobody can read.
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceName } from '@glasshouse/shared/contracts';
import {
  consumedBy,
  consumingServices as consumers,
  deadQueueOf,
  EVENT_EXCHANGE,
  originalMessageId,
  queueOf,
} from '@glasshouse/shared/event-bus';
import { type Channel, type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib';
import type { Scenario, Scene } from '../scenario.ts';

const ROUND_MS = 15_000;
const COPIES_ON_TOP = 4;
const HELD_MS = 2_000;

/** The broker as its administrator reaches it, past every proxy. What is sent has arrived when it returns. */
async function withChannel({ world }: Scene, work: (channel: ConfirmChannel) => Promise<void>): Promise<void> {
  const connection = await connect(world.platform.admin.rabbitmqUrl, { noDelay: true });
  connection.on('error', () => {});
  try {
    const channel = await connection.createConfirmChannel();
    await work(channel);
    // What the broker has not confirmed, it may forget with the channel.
    await channel.waitForConfirms();
  } finally {
    await connection.close().catch(() => {});
  }
}

/** Hears events. @returns a function that waits until everything that was told before is here */
async function tap(
  channel: Channel,
  types: readonly string[],
  take: (message: ConsumeMessage) => void,
): Promise<() => Promise<void>> {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const marks = new Map<string, () => void>();
  for (const type of types) await channel.bindQueue(queue, EVENT_EXCHANGE, type);
  const receive = (message: ConsumeMessage) => {
    const passed = marks.get(message.properties.messageId);
    if (passed === undefined) take(message);
    else passed();
  };
  await channel.consume(queue, (message) => message && receive(message), { noAck: true });
  return () =>
    new Promise((resolve) => {
      const messageId = randomUUID();
      marks.set(messageId, resolve);
      channel.sendToQueue(queue, Buffer.of(), { messageId });
    });
}

function put(channel: Channel, service: ServiceName, { content, properties }: ConsumeMessage): void {
  const { messageId, contentType, type, headers } = properties;
  channel.sendToQueue(queueOf(service), content, { persistent: true, messageId, contentType, type, headers });
}

const duplicates: Scenario = {
  name: 'messages-duplicated',
  says: 'Every message is delivered five times to every service that hears of it.',
  round: (scene) =>
    withChannel(scene, async (channel) => {
      scene.fault('every message comes five times');
      await tap(channel, ['#'], (message) => {
        for (const service of consumers)
          if (consumedBy(service).includes(message.fields.routingKey))
            for (let copy = 0; copy < COPIES_ON_TOP; copy += 1) put(channel, service, message);
      });
      await delay(ROUND_MS);
    }),
};

const reversed: Scenario = {
  name: 'messages-reversed',
  says: 'Messages are held back, and delivered every 2 s, the last one first.',
  round: (scene) =>
    withChannel(scene, async (channel) => {
      const routes = consumers.flatMap((service) => consumedBy(service).map((type) => ({ service, type })));
      let held: ConsumeMessage[] = [];
      const deliver = () => {
        for (const message of held.toReversed())
          for (const { service, type } of routes)
            if (type === message.fields.routingKey) put(channel, service, message);
        held = [];
      };
      scene.fault('messages are held back');
      const flush = await tap(channel, [...new Set(routes.map(({ type }) => type))], (message) => held.push(message));
      // The tap is bound first: a message that has no queue would be returned to its publisher.
      for (const { service, type } of routes) await channel.unbindQueue(queueOf(service), EVENT_EXCHANGE, type);
      for (let passed = 0; passed < ROUND_MS; passed += HELD_MS) {
        await delay(HELD_MS);
        deliver();
      }
      for (const { service, type } of routes) await channel.bindQueue(queueOf(service), EVENT_EXCHANGE, type);
      // The tap ends with its channel: nothing may be left in it that the services have not got.
      await flush();
      deliver();
      scene.tell('messages go their usual way');
    }),
};

/** What no service can read: not JSON, not an event, of a type that does not exist, and not as its contract says. */
function poison(type: string): Buffer[] {
  const envelope = {
    specversion: '1.0',
    id: randomUUIDv7(),
    source: 'order-service',
    type,
    subject: randomUUIDv7(),
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    dataschema: 'https://example.com/schema',
    correlationid: randomUUID(),
  };
  return [
    '{"specversion":',
    '{}',
    JSON.stringify({ ...envelope, type: 'order.poisoned', data: {} }),
    JSON.stringify({ ...envelope, data: { orderId: 7 } }),
  ].map((text) => Buffer.from(text));
}

/** How long the services may take to park what they can't read. */
const PARKED_WITHIN_MS = 30_000;

const poisoned: Scenario = {
  name: 'messages-poisoned',
  says: 'Messages that nobody can read are put into every queue: they are parked, and hold nothing up.',
  round: (scene) =>
    withChannel(scene, async (channel) => {
      const given = new Map<ServiceName, Set<string>>();
      for (const service of consumers) {
        const contents = poison(consumedBy(service)[0] ?? '');
        const messages = new Map(contents.map((content) => [`poison-${randomUUID()}`, content]));
        for (const [messageId, content] of messages)
          channel.sendToQueue(queueOf(service), content, { persistent: true, messageId });
        given.set(service, new Set(messages.keys()));
      }
      scene.fault('every queue is poisoned');
      const givesUpAt = performance.now() + PARKED_WITHIN_MS;
      for (const [service, missing] of given) {
        while (missing.size > 0 && performance.now() < givesUpAt) {
          const message = await channel.get(deadQueueOf(service));
          if (message === false) await delay(100);
          // What is not ours stays where it is, for the auditor to find, once this channel is closed.
          else if (missing.delete(originalMessageId(String(message.properties.messageId)))) channel.ack(message);
        }
        if (missing.size > 0) scene.complain(`${missing.size} messages that ${service} can't read were not parked`);
      }
      scene.tell('all poison is parked, and taken away');
      await delay(2_000);
    }),
};

export const messageScenarios = [duplicates, reversed, poisoned];
