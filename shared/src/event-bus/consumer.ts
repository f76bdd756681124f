// Takes messages from the service's queue: each is handled in one transaction with its inbox row, and acknowledged after the commit.
// What fails by its own fault is retried with delays and then parked; what fails because a database is down pauses the consumer instead.
import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Channel, ConsumeMessage } from 'amqplib';
import { ZodError } from 'zod';
import { type CloudEvent, envelopeSchema } from '../contracts/index.ts';
import { classifyFailure, isDuplicateKey } from '../errors/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { backoffMs } from '../resilience/index.ts';
import {
  counter,
  durationHistogram,
  errorTypeOf,
  failSpan,
  runWork,
  SpanKind,
  tellAbout,
  workSpan,
} from '../telemetry/index.ts';
import type { Broker } from './broker.ts';
import type { Publisher } from './publisher.ts';
import type { Subscription } from './subscriptions.ts';
import { DEAD_KEY, deadExchangeOf, queueOf, RETRY_DELAYS_S, retryExchangeOf } from './topology.ts';

/** What the consumer needs of a database, the same for PostgreSQL and MongoDB. */
export interface ConsumerDatabase<Tx> {
  /**
   * Runs `work` in a transaction with the event's inbox row, and repeats it where another transaction was faster.
   * @returns false, and does nothing, where this event was handled before
   */
  handleOnce(eventId: string, work: (tx: Tx) => Promise<void>): Promise<boolean>;
  /** Resolves when the database takes writes. */
  probeWrite(): Promise<void>;
}

export interface Consumer extends Part {
  state(): { consuming: boolean; paused: boolean };
  /** When it began to consume on the present connection, in milliseconds of the process's monotonic clock; undefined while it doesn't. */
  consumingSince(): number | undefined;
  /**
   * Whether the queue holds no message that waits to be delivered, and everything delivered here by then was handled: nothing given back,
   * nothing sent to a retry. False where the broker can't say, and while it takes no messages: then nobody can send what we wait for.
   * What another copy holds is not seen.
   */
  hasCaughtUp(): Promise<boolean>;
}

/** What a message that failed says of itself: how often it has failed, why the last time, and when (ISO 8601). */
export const ATTEMPTS_HEADER = 'x-attempts';
export const REASON_HEADER = 'x-reason';
export const FAILED_AT_HEADER = 'x-failed-at';

/** The id under which a message was published first: a copy that is retried or parked has its attempt appended. */
export const originalMessageId = (messageId: string): string => messageId.replace(/(#\d+)+$/, '');

const recordProcess = durationHistogram('messaging.process.duration', 'Duration of handling a message.');
const duplicates = counter('glasshouse.inbox.duplicates', '{message}', 'Messages that had been handled before.');
const retries = counter('glasshouse.messages.retried', '{message}', 'Messages that failed and come again.');
const deadLetters = counter('glasshouse.messages.dead', '{message}', 'Messages parked among the dead letters.');

/** Whether a failure is the message's own and counts as an attempt. A duplicate key that is still there after the work was repeated is a bug. */
const isFault = (error: unknown) => classifyFailure(error) === 'fault' || isDuplicateKey(error);

/** A message that no attempt can help: not an event, of an unknown type, or not as its contract says. */
class Unreadable extends Error {
  override name = 'Unreadable';
}

function readEvent(content: Buffer): CloudEvent {
  let json: unknown;
  try {
    json = JSON.parse(content.toString('utf8'));
  } catch {
    throw new Unreadable('not JSON');
  }
  const parsed = envelopeSchema.safeParse(json);
  if (!parsed.success) throw new Unreadable(`not an event: ${describe(parsed.error)}`);
  return parsed.data;
}

function describe(error: unknown): string {
  if (error instanceof ZodError)
    return error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/**
 * @param deps what the handlers get, with `db` replaced by the transaction
 * @param prefetch how many messages are handled at once
 * @param runOne wraps each handling; a service that takes stock-changing work one at a time passes its queue
 */
export function createConsumer<Tx, Deps extends { db: unknown }>(options: {
  broker: Broker;
  publisher: Publisher;
  database: ConsumerDatabase<Tx>;
  subscriptions: readonly Subscription<Deps>[];
  deps: Omit<Deps, 'db'>;
  logger: Logger;
  prefetch: number;
  runOne?: <T>(work: () => Promise<T>) => Promise<T>;
}): Consumer {
  const { broker, publisher, database, subscriptions, deps, logger, prefetch } = options;
  const runOne = options.runOne ?? ((work) => work());
  const { service } = broker;
  const queue = queueOf(service);
  const ofProcess = {
    'messaging.system': 'rabbitmq',
    'messaging.destination.name': queue,
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
  };
  const byType = new Map(subscriptions.map((subscription) => [subscription.definition.type, subscription]));
  const types = subscriptions.map(({ definition }) => ({ 'event.type': definition.type }));
  for (const { startWith } of [duplicates, retries, deadLetters]) startWith(types);
  const underWay = new Set<Promise<void>>();
  /** Messages at fault on their way to a retry or to the dead letters. */
  const moving = new Set<Promise<void>>();
  const stopping = new AbortController();
  let channel: Channel | undefined;
  let consumerTag: string | undefined;
  let since: number | undefined;
  let paused = false;
  /** Counts the messages that were not handled when they came. */
  let unhandled = 0;

  /** The channel of a message may be gone by the time it is handled: then the broker delivers it again, and the inbox knows it. */
  const settle = (on: Channel, action: () => void) => {
    if (on === channel) action();
  };

  const track = (works: Set<Promise<void>>, work: Promise<void>) => {
    const ended = work
      .catch((error) => {
        logger.error('a message could not be settled', { error });
      })
      .finally(() => works.delete(ended));
    works.add(ended);
  };

  /** Waits, with the message in hand, until the broker takes it. */
  const moveTo = async (
    on: Channel,
    [exchange, key]: [exchange: string, key: string],
    message: ConsumeMessage,
    attempts: number,
    error: unknown,
  ) => {
    const { properties } = message;
    // Given back, it would come again at once: with every round closer to the delivery limit.
    await publisher.whenReady(stopping.signal);
    // Or lost meanwhile, and so on its way to a consumer again.
    if (on !== channel) return;
    await publisher.publish(exchange, key, message.content, {
      messageId: `${originalMessageId(properties.messageId ?? randomUUIDv7())}#${attempts}`,
      contentType: properties.contentType,
      type: properties.type,
      headers: {
        traceparent: properties.headers?.traceparent,
        [ATTEMPTS_HEADER]: attempts,
        [REASON_HEADER]: describe(error).slice(0, 1_000),
        [FAILED_AT_HEADER]: new Date().toISOString(),
      },
    });
  };

  const onFault = async (on: Channel, message: ConsumeMessage, error: unknown) => {
    const attempts = Number(message.properties.headers?.[ATTEMPTS_HEADER] ?? 0) + 1;
    const seconds = error instanceof Unreadable ? undefined : RETRY_DELAYS_S[attempts - 1];
    try {
      // What can't be read may say anything of its type.
      const told = { 'event.type': byType.has(message.properties.type) ? message.properties.type : 'unknown' };
      if (seconds === undefined) {
        logger.error('a message is parked among the dead letters', {
          error,
          attempts,
          messageId: message.properties.messageId,
        });
        await moveTo(on, [deadExchangeOf(service), DEAD_KEY], message, attempts, error);
        deadLetters.count(told);
      } else {
        logger.warn('a message failed; it is tried again', {
          error,
          attempts,
          seconds,
          messageId: message.properties.messageId,
        });
        await moveTo(on, [retryExchangeOf(service), `${seconds}s`], message, attempts, error);
        retries.count(told);
      }
      settle(on, () => on.ack(message));
    } catch (failure) {
      logger.warn('a failed message could not be moved; it goes back to the queue', { error: failure });
      await delay(1_000, undefined, { signal: stopping.signal }).catch(() => {});
      settle(on, () => on.nack(message, false, true));
    }
  };

  const handle = async (message: ConsumeMessage) => {
    const event = readEvent(message.content);
    const subscription = byType.get(event.type);
    if (subscription === undefined) throw new Unreadable(`unknown type ${event.type}`);
    tellAbout({ requestId: event.correlationid, causationId: event.id });
    workSpan().setAttributes({
      'cloudevents.event_type': event.type,
      'cloudevents.event_id': event.id,
      'glasshouse.saga.step': subscription.handler,
      'messaging.message.conversation_id': event.correlationid,
    });
    const checked = subscription.definition.schema.safeParse(event.data);
    if (!checked.success) throw new Unreadable(`${event.type}: ${describe(checked.error)}`);
    const { orderId, userId } = checked.data as { orderId?: string; userId?: string };
    tellAbout({ ...(orderId !== undefined && { orderId }), ...(userId !== undefined && { userId }) });
    const startedAt = performance.now();
    const record = (error?: { 'error.type': string }) => {
      const seconds = (performance.now() - startedAt) / 1000;
      recordProcess(seconds, { ...ofProcess, 'event.type': event.type, ...error });
      return Math.round(seconds * 1000);
    };
    let isNew: boolean;
    try {
      isNew = await database.handleOnce(event.id, async (tx) => {
        await subscription.handle({ ...event, data: checked.data }, { ...deps, db: tx } as unknown as Deps);
      });
    } catch (error) {
      record({ 'error.type': errorTypeOf(error) });
      throw error;
    }
    if (!isNew) duplicates.count({ 'event.type': event.type });
    logger.info(isNew ? 'handled' : 'handled before', {
      eventType: event.type,
      eventId: event.id,
      subject: event.subject,
      durationMs: record(),
    });
  };

  const receive = (on: Channel, message: ConsumeMessage): Promise<void> => {
    const { messageId, headers } = message.properties;
    const cause = { correlationId: String(messageId), traceparent: headers?.traceparent };
    const attributes = { ...ofProcess, 'messaging.message.id': String(messageId), ...broker.address };
    return runOne(async () => {
      if (paused || stopping.signal.aborted) {
        unhandled += 1;
        return settle(on, () => on.nack(message, false, true));
      }
      return runWork(cause, { name: `process ${queue}`, kind: SpanKind.CONSUMER, attributes }, async (span) => {
        try {
          await handle(message);
          settle(on, () => on.ack(message));
        } catch (error) {
          failSpan(span, error);
          unhandled += 1;
          // Not in this one's turn: it may take as long as the broker takes no messages, and the others go on meanwhile.
          if (isFault(error)) return track(moving, onFault(on, message, error));
          // What is neither fault nor outage is contention that lasted; the queue is the place to wait.
          if (classifyFailure(error) === 'dependency-down') pause(error);
          settle(on, () => on.nack(message, false, true));
        }
      });
    });
  };

  const startConsuming = async () => {
    const on = channel;
    if (on === undefined || paused || stopping.signal.aborted || consumerTag !== undefined) return;
    consumerTag = 'pending';
    const { consumerTag: tag } = await on.consume(queue, (message) => {
      if (message === null) {
        // The broker has cancelled us (the queue moved or was declared anew): a new channel sets everything up again.
        consumerTag = undefined;
        since = undefined;
        setTimeout(() => startConsuming().catch(() => {}), 1_000).unref();
        return;
      }
      track(underWay, receive(on, message));
    });
    consumerTag = tag;
    since = performance.now();
    // Paused or stopped while the broker was answering.
    if (paused || stopping.signal.aborted) await stopConsuming();
  };

  const stopConsuming = async () => {
    const tag = consumerTag;
    since = undefined;
    if (tag === undefined || tag === 'pending') return;
    consumerTag = undefined;
    await channel?.cancel(tag).catch(() => {});
  };

  const pause = (error: unknown) => {
    if (paused || stopping.signal.aborted) return;
    paused = true;
    logger.warn('the database is down; the consumer pauses', { error });
    resumeWhenWritable().catch((failure) => logger.error('the consumer could not resume', { error: failure }));
  };

  const resumeWhenWritable = async () => {
    await stopConsuming();
    for (let attempt = 0; !stopping.signal.aborted; attempt += 1) {
      await delay(1_000 + backoffMs(attempt, 1_000, 29_000), undefined, { signal: stopping.signal }).catch(() => {});
      try {
        await database.probeWrite();
        break;
      } catch (error) {
        logger.warn('the database is still down', { error: (error as Error).message });
      }
    }
    paused = false;
    if (stopping.signal.aborted) return;
    logger.info('the database takes writes again; the consumer goes on');
    await startConsuming();
  };

  broker.consuming.keepChannel(
    (connection) => connection.createChannel(),
    async (opened) => {
      await opened.prefetch(prefetch);
      channel = opened;
      consumerTag = undefined;
      await startConsuming();
    },
    () => {
      channel = undefined;
      consumerTag = undefined;
      since = undefined;
    },
  );

  return {
    name: 'consumer',
    state: () => ({ consuming: since !== undefined, paused }),
    consumingSince: () => since,
    async hasCaughtUp() {
      const on = channel;
      const seen = { since, unhandled };
      if (on === undefined || since === undefined || !publisher.isReady()) return false;
      try {
        if ((await on.checkQueue(queue)).messageCount > 0) return false;
        await Promise.all([...underWay]);
        if ((await on.checkQueue(queue)).messageCount > 0) return false;
        if (moving.size > 0 || !publisher.isReady()) return false;
        return on === channel && !paused && seen.since === since && seen.unhandled === unhandled;
      } catch {
        return false;
      }
    },
    async start() {},
    async stop() {
      await stopConsuming();
      stopping.abort();
      await Promise.all([...underWay]);
      await Promise.all([...moving]);
      await channel?.close().catch(() => {});
    },
  };
}
