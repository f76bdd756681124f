// The outbox: events are rows of the same transaction as the change they tell of.
import type { CloudEvent, DomainEvent } from '../contracts/index.ts';
import { OUTBOX_COUNT_LIMIT, type OutboxRow, type OutboxStore, toCloudEvent } from '../event-bus/index.ts';
import { currentCause } from '../telemetry/index.ts';
import type { Database, Transaction } from './database.ts';

/** Writes the events into the outbox, claimed by this process for 10 s; the relay gets them right after the commit. */
export async function appendToOutbox(tx: Transaction, facts: readonly DomainEvent[]): Promise<CloudEvent[]> {
  if (facts.length === 0) return [];
  const { traceparent } = currentCause();
  const events = facts.map((fact) => toCloudEvent(fact, tx.service, tx.clock()));
  const rows: OutboxRow[] = events.map((event) => ({ id: event.id, event, traceparent }));
  await tx.query(
    `insert into outbox (id, event, traceparent, claimed_until)
     select id, event, $3, clock_timestamp() + interval '10 s' from unnest($1::uuid[], $2::jsonb[]) as row (id, event)`,
    [rows.map((row) => row.id), rows.map((row) => JSON.stringify(row.event)), traceparent],
  );
  tx.outboxRows.push(...rows);
  return events;
}

/** The outbox table, for the relay. */
export function createOutboxStore(database: Database): OutboxStore {
  return {
    async claim(limit) {
      const { rows } = await database.query<{ id: string; event: CloudEvent; traceparent: string }>(
        `update outbox set claimed_until = clock_timestamp() + interval '10 s'
         where id in (select id from outbox where claimed_until < clock_timestamp() order by id limit $1 for update skip locked)
         returning id, event, traceparent`,
        [limit],
      );
      return rows;
    },
    async remove(ids) {
      await database.query('delete from outbox where id = any($1)', [ids]);
    },
    async giveBack(ids) {
      await database.query('update outbox set claimed_until = clock_timestamp() where id = any($1)', [ids]);
    },
    async depth() {
      const { rows } = await database.query<{ rows: number; oldest: string | null }>(
        `select (select count(*) from (select from outbox limit $1) as counted) as rows,
                (select id from outbox order by id limit 1) as oldest`,
        [OUTBOX_COUNT_LIMIT],
      );
      return { rows: rows[0]?.rows ?? 0, oldestId: rows[0]?.oldest ?? undefined };
    },
    onCommitted: (listener) => database.outboxListeners.push(listener),
  };
}
