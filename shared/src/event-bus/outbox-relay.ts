// Publishes what a commit has left in the outbox: at once when told, and by a sweep what a crash left behind. At least once, in no order.
import type CircuitBreaker from 'opossum';
import type { CloudEvent } from '../contracts/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { createBreaker, isBreakerOpen } from '../resilience/index.ts';
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
  /** Registers who is handed the rows of each transaction right after its commit, already claimed. */
  onCommitted(listener: (rows: OutboxRow[]) => void): void;
}

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

  const send: CircuitBreaker<[OutboxRow], void> = createBreaker('outbox', ({ id, event, traceparent }: OutboxRow) =>
    publisher.publish(EVENT_EXCHANGE, event.type, Buffer.from(JSON.stringify(event)), {
      messageId: id,
      contentType: 'application/cloudevents+json',
      type: event.type,
      headers: { traceparent },
    }),
  );

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
  const relay = async (row: OutboxRow): Promise<boolean> => {
    try {
      await send.fire(row);
    } catch (error) {
      if (!isBreakerOpen(error))
        logger.warn('an event could not be published yet', { error, eventId: row.id, eventType: row.event.type });
      await giveBack(row.id);
      return false;
    }
    await remove(row.id);
    return true;
  };

  const sweepOnce = async () => {
    while (!stopped) {
      const rows = await store.claim(SWEEP_BATCH);
      if (rows.length === 0) return;
      const sent = await Promise.all(rows.map(relay));
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
