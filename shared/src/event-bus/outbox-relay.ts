// Publishes what a commit has left in the outbox: at once when told, and by a sweep what a crash left behind. At least once, in no order.
import type CircuitBreaker from 'opossum';
import type { CloudEvent } from '../contracts/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { createBreaker, isBreakerOpen } from '../resilience/index.ts';
import {
  currentCause,
  durationHistogram,
  errorTypeOf,
  gauge,
  type Link,
  linkTo,
  runWork,
  SpanKind,
  tellAbout,
} from '../telemetry/index.ts';
import type { Publisher } from './publisher.ts';
import { EVENT_EXCHANGE } from './topology.ts';

/** An event that is committed, and the trace it belongs to. */
export interface OutboxRow {
  id: string;
  event: CloudEvent;
  traceparent: string;
}

/** The outbox table or collection. Rows are claimed for 10 s by the database's clock, so that copies of a service take different ones. */
export interface OutboxStore {
  /** Claims up to `limit` rows that nobody holds. */
  claim(limit: number): Promise<OutboxRow[]>;
  /** Deletes rows that the broker has confirmed. */
  remove(ids: string[]): Promise<void>;
  /** Ends our claim on rows that could not be sent. */
  giveBack(ids: string[]): Promise<void>;
  /** How many rows there are, counted up to `OUTBOX_COUNT_LIMIT`, and the id of the oldest. */
  depth(): Promise<{ rows: number; oldestId?: string | undefined }>;
  /** Registers who is handed the rows of each transaction right after its commit, already claimed. */
  onCommitted(listener: (rows: OutboxRow[]) => void): void;
}

const recordOperation = durationHistogram(
  'messaging.client.operation.duration',
  'Duration of publishing, to the confirm.',
);

/** More than so many are as bad. */
export const OUTBOX_COUNT_LIMIT = 1_000;
const LOOK_AGAIN_MS = 500;

const SWEEP_BATCH = 200;
const MAX_IN_FLIGHT = 2_000;

export function createOutboxRelay(options: {
  store: OutboxStore;
  publisher: Publisher;
  logger: Logger;
  sweepIntervalMs: number;
}): Part {
  const { store, publisher, logger, sweepIntervalMs } = options;
  const underWay = new Set<Promise<unknown>>();
  let timer: NodeJS.Timeout | undefined;
  let sweeping: Promise<void> | undefined;
  let stopped = false;

  const send: CircuitBreaker<[OutboxRow], void> = createBreaker('outbox', ({ id, event }: OutboxRow) =>
    publisher.publish(EVENT_EXCHANGE, event.type, Buffer.from(JSON.stringify(event)), {
      messageId: id,
      contentType: 'application/cloudevents+json',
      type: event.type,
      headers: { traceparent: currentCause().traceparent },
    }),
  );

  /** A span for each event, in the trace of its cause. @param links to the sweep that has found it, if one has */
  const publish = (row: OutboxRow, links: Link[]): Promise<void> => {
    const { event, traceparent } = row;
    const { type, id, correlationid: correlationId, causationid: causationId } = event;
    const operation = {
      'messaging.system': 'rabbitmq',
      'messaging.operation.name': 'publish',
      'messaging.destination.name': EVENT_EXCHANGE,
    };
    const attributes = {
      ...operation,
      'messaging.operation.type': 'send',
      'messaging.rabbitmq.destination.routing_key': type,
      'messaging.message.id': id,
      'messaging.message.conversation_id': correlationId,
      'cloudevents.event_id': id,
      'cloudevents.event_type': type,
      ...publisher.address,
    };
    const description = { name: `publish ${type}`, kind: SpanKind.PRODUCER, attributes, links };
    return runWork({ correlationId, causationId, traceparent }, description, async () => {
      const { orderId } = event.data as { orderId?: string };
      if (orderId !== undefined) tellAbout({ orderId });
      const startedAt = performance.now();
      const record = (error?: { 'error.type': string }) =>
        recordOperation((performance.now() - startedAt) / 1000, { ...operation, 'event.type': type, ...error });
      try {
        await send.fire(row);
        record();
      } catch (error) {
        record({ 'error.type': errorTypeOf(error) });
        throw error;
      }
    });
  };

  const track = <T>(work: Promise<T>): Promise<T> => {
    underWay.add(work);
    work.then(
      () => underWay.delete(work),
      () => underWay.delete(work),
    );
    return work;
  };

  /** Ids that wait for one statement instead of one each: under load the removals of many events go together. */
  const createBatch = (write: (ids: string[]) => Promise<void>) => {
    let waiting: string[] = [];
    let writing: Promise<void> | undefined;
    const flush = async () => {
      while (waiting.length > 0) {
        const ids = waiting;
        waiting = [];
        // What can't be written now is sent again when its claim has ended: consumers know it by its id.
        await write(ids).catch((error) => logger.warn('the outbox could not be updated', { error, rows: ids.length }));
      }
      writing = undefined;
    };
    return (id: string): Promise<void> => {
      waiting.push(id);
      writing ??= track(flush());
      return writing;
    };
  };
  const remove = createBatch((ids) => store.remove(ids));
  const giveBack = createBatch((ids) => store.giveBack(ids));

  /** @returns whether the row was sent */
  const relay = async (row: OutboxRow, links: Link[] = []): Promise<boolean> => {
    try {
      await publish(row, links);
    } catch (error) {
      if (!isBreakerOpen(error))
        logger.warn('an event could not be published yet', { error, eventId: row.id, eventType: row.event.type });
      await giveBack(row.id);
      return false;
    }
    await remove(row.id);
    return true;
  };

  /** What a crash left behind: many traces, published in one go, which is linked to each of them, as each is to it. */
  const sendBatch = (rows: OutboxRow[]): Promise<boolean[]> => {
    const links = rows.flatMap(({ traceparent }) => linkTo(traceparent));
    return runWork({}, { name: 'sweep outbox', links }, (span) => {
      const toSweep = [{ context: span.spanContext() }];
      return Promise.all(rows.map((row) => relay(row, toSweep)));
    });
  };

  const sweepOnce = async () => {
    while (!stopped) {
      const rows = await store.claim(SWEEP_BATCH);
      if (rows.length === 0) return;
      const sent = await sendBatch(rows);
      logger.info('the sweep published what was left in the outbox', { rows: sent.filter(Boolean).length });
      if (sent.includes(false)) return;
    }
  };
  const sweep = () => {
    // What is claimed while the broker takes nothing would only be given back.
    if (stopped || sweeping !== undefined || send.opened || !publisher.isReady()) return;
    sweeping = track(
      sweepOnce()
        .catch((error) => {
          logger.warn('the outbox could not be swept', { error });
        })
        .finally(() => {
          sweeping = undefined;
        }),
    );
  };

  store.onCommitted((rows) => {
    for (const row of rows) {
      if (underWay.size >= MAX_IN_FLIGHT || !publisher.isReady()) track(giveBack(row.id));
      else track(relay(row));
    }
  });
  send.on('halfOpen', sweep);
  send.on('close', sweep);
  publisher.onReady(() => {
    send.close();
    // One that is under way has met rows that could not be sent.
    Promise.resolve(sweeping).then(sweep);
  });

  /** One look for both gauges. */
  let look: { at: number; depth: ReturnType<OutboxStore['depth']> } | undefined;
  const depth = () => {
    if (look === undefined || performance.now() - look.at > LOOK_AGAIN_MS)
      look = { at: performance.now(), depth: store.depth() };
    return look.depth;
  };
  gauge('glasshouse.outbox.rows', '{event}', 'Events that are committed and not yet published.', async () => {
    const { rows } = await depth();
    return [[rows]];
  });
  gauge('glasshouse.outbox.age', 's', 'How long the oldest of them has been waiting.', async () => {
    const { oldestId } = await depth();
    // A UUIDv7 begins with its time, in milliseconds (RFC 9562, section 5.7).
    const madeAt = oldestId === undefined ? Date.now() : Number.parseInt(oldestId.replace('-', '').slice(0, 12), 16);
    return [[Math.max(0, (Date.now() - madeAt) / 1000)]];
  });

  return {
    name: 'outbox relay',
    async start() {
      timer = setInterval(sweep, sweepIntervalMs);
    },
    async stop() {
      clearInterval(timer);
      stopped = true;
      while (underWay.size > 0) await Promise.allSettled([...underWay]);
      send.shutdown();
    },
  };
}
