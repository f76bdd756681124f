// The outbox: events are documents of the same transaction as the change they tell of.
import type { CloudEvent, DomainEvent } from '../contracts/index.ts';
import { OUTBOX_COUNT_LIMIT, type OutboxRow, type OutboxStore, toCloudEvent } from '../event-bus/index.ts';
import { currentCause } from '../telemetry/index.ts';
import type { Database, Transaction } from './database.ts';

interface OutboxDocument {
  _id: string;
  event: CloudEvent;
  traceparent: string;
  claimedUntil: Date;
}

const CLAIM_MS = 10_000;
/** A pipeline, because only that can read the database's clock. */
const claim = [{ $set: { claimedUntil: { $dateAdd: { startDate: '$$NOW', unit: 'millisecond', amount: CLAIM_MS } } } }];

/**
 * Writes the events into the outbox, claimed by this process for 10 s; the relay gets them right after the commit.
 * @param time the database's clock, as the statement that locked the state read it
 */
export async function appendToOutbox(
  tx: Transaction,
  facts: readonly DomainEvent[],
  time: Date,
): Promise<CloudEvent[]> {
  const { traceparent } = currentCause();
  const events = facts.map((fact) => toCloudEvent(fact, tx.service, time));
  const rows = events.map((event) => ({
    _id: event.id,
    event,
    traceparent,
    claimedUntil: new Date(time.getTime() + CLAIM_MS),
  }));
  if (rows.length > 0) await tx.collection<OutboxDocument>('outbox').insertMany(rows, tx.within);
  tx.outboxRows.push(...events.map((event) => ({ id: event.id, event, traceparent })));
  return events;
}

/** The outbox collection, for the relay. */
export function createOutboxStore(database: Database): OutboxStore {
  const outbox = database.collection<OutboxDocument>('outbox');
  return {
    async claim(limit) {
      const rows: OutboxRow[] = [];
      while (rows.length < limit) {
        const found = await outbox.findOneAndUpdate({ $expr: { $lt: ['$claimedUntil', '$$NOW'] } }, claim, {
          sort: { _id: 1 },
        });
        if (found === null) break;
        rows.push({ id: found._id, event: found.event, traceparent: found.traceparent });
      }
      return rows;
    },
    async remove(ids) {
      await outbox.deleteMany({ _id: { $in: ids } });
    },
    async giveBack(ids) {
      await outbox.updateMany({ _id: { $in: ids } }, [{ $set: { claimedUntil: '$$NOW' } }]);
    },
    async depth() {
      const found = await outbox
        .find({}, { projection: { _id: 1 }, sort: { _id: 1 }, limit: OUTBOX_COUNT_LIMIT })
        .toArray();
      return { rows: found.length, oldestId: found[0]?._id };
    },
    onCommitted: (listener) => database.outboxListeners.push(listener),
  };
}
