// The timeline of each order: its own events with their commit, the others' as they arrive.
import type { CloudEvent, DomainEvent } from '@glasshouse/shared/contracts';
import { appendToOutbox, type Queryable, type Transaction } from '@glasshouse/shared/postgres';
import { currentCause, traceIdOf } from '@glasshouse/shared/telemetry';
import { summaryOf, type TimelineEntry } from '../domain/timeline.ts';

/** Records an event; one that is there already stays as it is. */
export async function recordInTimeline(tx: Transaction, orderId: string, event: CloudEvent): Promise<void> {
  await tx.query(
    `insert into timeline (order_id, event_id, type, source, time, trace_id, causation_id, summary)
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`,
    [
      orderId,
      event.id,
      event.type,
      event.source,
      event.time,
      traceIdOf(currentCause().traceparent),
      event.causationid ?? null,
      summaryOf(event),
    ],
  );
}

/** Tells the facts: into the outbox for the others, into the timeline for whoever asks. */
export async function tell(tx: Transaction, orderId: string, facts: readonly DomainEvent[]): Promise<void> {
  const events = await appendToOutbox(tx, facts);
  for (const event of events) await recordInTimeline(tx, orderId, event);
}

/** By arrival. */
export async function listTimeline(db: Queryable, orderId: string): Promise<TimelineEntry[]> {
  const { rows } = await db.query<{
    event_id: string;
    type: string;
    source: string;
    time: Date;
    trace_id: string;
    causation_id: string | null;
    summary: string;
  }>(
    'select event_id, type, source, time, trace_id, causation_id, summary from timeline where order_id = $1 order by arrival',
    [orderId],
  );
  return rows.map((row) => ({
    id: row.event_id,
    type: row.type,
    source: row.source,
    time: row.time,
    traceId: row.trace_id,
    causationId: row.causation_id ?? undefined,
    summary: row.summary,
  }));
}
