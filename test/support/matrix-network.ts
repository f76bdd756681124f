// The test as the network: every event of the saga comes here instead of to the services, and goes on to each of them when, in which order and how
// often the test wants.
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { type CloudEvent, definitionsByType, serviceNames } from '@glasshouse/shared/contracts';
import {
  consumedBy,
  DEAD_KEY,
  deadExchangeOf,
  EVENT_EXCHANGE,
  queueOf,
  RETRY_DELAYS_S,
  retryExchangeOf,
} from '@glasshouse/shared/event-bus';
import { type ConsumeMessage, connect } from 'amqplib';
import { type Listener, listeners } from './matrix-books.ts';

/** An event as its publisher has sent it. */
export interface Told {
  event: CloudEvent;
  message: ConsumeMessage;
}

export interface Network {
  /** The order's events so far, as they came. */
  toldOf(orderId: string): readonly Told[];
  /** Resolves when an event of that type has been told of the order. */
  untilTold(orderId: string, type: string, timeoutMs: number): Promise<void>;
  /** Puts two copies of an event into a service's queue, one right behind the other. */
  deliver(told: Told, to: Listener): void;
  /** Puts in one more, as it comes to a service whose inbox has forgotten it: under another id. Only what the service has done tells it. */
  deliverAgain(told: Told, to: Listener): void;
  /** Resolves when everything that the exchange had taken before is here. */
  flush(): Promise<void>;
  /** What services could not handle when it came, in words; empty unless something is wrong. */
  faultsOf(orderId: string): string[];
  stop(): Promise<void>;
}

/** The events of users and products go their usual way. */
const isOfTheSaga = (type: string) => /^(order|inventory|payment)\./.test(type);

/** Who acts on an event. */
export const listenersOf = ({ type }: CloudEvent): Listener[] =>
  listeners.filter((service) => definitionsByType.get(type)?.to.includes(service));

/**
 * Takes the saga's events away from the services' queues. Call it while no order is under way.
 * A service that reconnects to the broker binds its queue again: then the test is not the network any more.
 */
export async function takeOverNetwork(rabbitmqUrl: string): Promise<Network> {
  const connection = await connect(rabbitmqUrl, { noDelay: true });
  const channel = await connection.createChannel();
  const told = new Map<string, Told[]>();
  const watchers = new Set<() => void>();
  const marks = new Map<string, () => void>();
  const faults = new Map<string, string[]>();

  const { queue: tap } = await channel.assertQueue('', { exclusive: true });
  for (const type of new Set(serviceNames.flatMap(consumedBy).filter(isOfTheSaga)))
    await channel.bindQueue(tap, EVENT_EXCHANGE, type);
  for (const service of serviceNames)
    for (const type of consumedBy(service).filter(isOfTheSaga))
      await channel.unbindQueue(queueOf(service), EVENT_EXCHANGE, type);

  const take = (message: ConsumeMessage) => {
    const { messageId } = message.properties;
    const passed = marks.get(messageId);
    if (passed !== undefined) return passed();
    const event: CloudEvent = JSON.parse(message.content.toString());
    const ofOrder = told.get(event.subject) ?? [];
    // A publisher promises at least once.
    if (ofOrder.some((earlier) => earlier.event.id === event.id)) return;
    told.set(event.subject, [...ofOrder, { event, message }]);
    for (const look of watchers) look();
  };
  await channel.consume(tap, (message) => message && take(message), { noAck: true });

  // A message that fails goes to the retry queues or the dead letters: see that it does.
  const { queue: failed } = await channel.assertQueue('', { exclusive: true });
  for (const service of serviceNames.filter((name) => consumedBy(name).length > 0)) {
    for (const seconds of RETRY_DELAYS_S) await channel.bindQueue(failed, retryExchangeOf(service), `${seconds}s`);
    await channel.bindQueue(failed, deadExchangeOf(service), DEAD_KEY);
  }
  const noteFault = ({ fields, properties, content }: ConsumeMessage) => {
    const { type, subject }: CloudEvent = JSON.parse(content.toString());
    const reason = `${fields.exchange}: ${type}: ${properties.headers?.['x-reason']}`;
    faults.set(subject, [...(faults.get(subject) ?? []), reason]);
  };
  await channel.consume(failed, (message) => message && noteFault(message), { noAck: true });

  const put = (to: Listener, content: Buffer, properties: ConsumeMessage['properties']) => {
    const { messageId, contentType, type, headers } = properties;
    channel.sendToQueue(queueOf(to), content, { persistent: true, messageId, contentType, type, headers });
  };

  return {
    toldOf: (orderId) => told.get(orderId) ?? [],
    untilTold(orderId, type, timeoutMs) {
      return new Promise((resolve, reject) => {
        const end = (settle: () => void) => {
          watchers.delete(look);
          clearTimeout(timer);
          settle();
        };
        const look = () => {
          if (told.get(orderId)?.some(({ event }) => event.type === type)) end(resolve);
        };
        const timer = setTimeout(() => end(() => reject(new Error(`no ${type} within ${timeoutMs} ms`))), timeoutMs);
        watchers.add(look);
        look();
      });
    },
    deliver({ message: { content, properties } }, to) {
      for (let copy = 0; copy < 2; copy += 1) put(to, content, properties);
    },
    deliverAgain({ event, message: { properties } }, to) {
      // The timeline knows events by their ids, and for ever.
      const id = to === 'order-service' ? event.id : randomUUIDv7();
      put(to, Buffer.from(JSON.stringify({ ...event, id })), { ...properties, messageId: id });
    },
    flush() {
      return new Promise((resolve) => {
        const mark = randomUUID();
        marks.set(mark, () => {
          marks.delete(mark);
          resolve();
        });
        channel.sendToQueue(tap, Buffer.alloc(0), { messageId: mark });
      });
    },
    faultsOf: (orderId) => faults.get(orderId) ?? [],
    stop: () => connection.close(),
  };
}
