// Refunds in SQL, in and out as domain types.
import type { Database, Queryable, Transaction } from '@glasshouse/shared/postgres';
import { type Cause, currentCause } from '@glasshouse/shared/telemetry';
import { LEASE_SECONDS } from '@glasshouse/shared/workers';
import type { Refund, RefundCause } from '../domain/refund.ts';

interface RefundRow {
  id: string;
  payment_id: string;
  amount: number;
  currency: string;
  reason: string;
  cause: RefundCause;
  status: Refund['status'];
  attempt: number;
  failures: number;
  lease_token: string | null;
  correlation_id: string;
  causation_id: string | null;
  traceparent: string;
  created_at: Date;
  settled_at: Date | null;
}

/** By name: a statement that is kept prepared would not stand another column. */
const columns = [
  'id',
  'payment_id',
  'amount',
  'reason',
  'cause',
  'status',
  'attempt',
  'failures',
  'lease_token',
  'settled_at',
  'created_at',
]
  .concat(['correlation_id', 'causation_id', 'traceparent'])
  .map((name) => `refunds.${name}`)
  .concat('currency')
  .join(', ');

/** A refund that a worker has claimed, and what it needs of its payment. */
export interface ClaimedRefund {
  refund: Refund;
  intentId: string;
  orderId: string;
  userId: string;
  attempt: number;
  failures: number;
  leaseToken: string;
  cause: Cause;
}

function toRefund(row: RefundRow): Refund {
  return {
    id: row.id,
    paymentId: row.payment_id,
    amount: { amount: row.amount, currency: row.currency },
    reason: row.reason,
    cause: row.cause,
    status: row.status,
    createdAt: row.created_at,
    settledAt: row.settled_at ?? undefined,
  };
}

/** Call it under the payment's row lock only: what is refundable depends on what is there. */
export async function insertRefund(tx: Transaction, refund: Omit<Refund, 'createdAt'>): Promise<Refund> {
  const { correlationId, causationId, traceparent } = currentCause();
  const { rows } = await tx.query<{ created_at: Date }>(
    `insert into refunds (id, payment_id, amount, reason, cause, status, correlation_id, causation_id, traceparent)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning created_at`,
    [
      refund.id,
      refund.paymentId,
      refund.amount.amount,
      refund.reason,
      refund.cause,
      refund.status,
      correlationId,
      causationId ?? null,
      traceparent,
    ],
  );
  return { ...refund, createdAt: rows[0]?.created_at ?? tx.now };
}

export async function findRefund(db: Queryable, id: string): Promise<Refund | undefined> {
  const { rows } = await db.query<RefundRow>(
    `select ${columns} from refunds join payments on payments.id = payment_id where refunds.id = $1`,
    [id],
  );
  return rows[0] && toRefund(rows[0]);
}

export async function listRefunds(db: Queryable, paymentId: string): Promise<Refund[]> {
  const { rows } = await db.query<RefundRow>(
    `select ${columns} from refunds join payments on payments.id = payment_id where payment_id = $1 order by refunds.id`,
    [paymentId],
  );
  return rows.map(toRefund);
}

/** Claims one refund that is to be made. */
export async function claimRefund(db: Database): Promise<ClaimedRefund | undefined> {
  const { rows } = await db.query<
    RefundRow & { lease_token: string; intent_id: string; order_id: string; user_id: string }
  >(
    `update refunds set lease_token = gen_random_uuid(), lease_until = clock_timestamp() + make_interval(secs => $1)
     from payments
     where payments.id = payment_id and refunds.id = (
       select id from refunds where status = 'due' and lease_until < clock_timestamp() and next_attempt_at <= clock_timestamp()
       order by next_attempt_at limit 1 for update skip locked)
     returning ${columns}, intent_id, order_id, user_id`,
    [LEASE_SECONDS],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  return {
    refund: toRefund(row),
    intentId: row.intent_id,
    orderId: row.order_id,
    userId: row.user_id,
    attempt: row.attempt,
    failures: row.failures,
    leaseToken: row.lease_token,
    cause: {
      correlationId: row.correlation_id,
      causationId: row.causation_id ?? undefined,
      traceparent: row.traceparent,
    },
  };
}

/**
 * Ends a refund, if the lease on it is still ours.
 * @returns false where it is not: then nothing may be told
 */
export async function settleRefund(
  tx: Transaction,
  id: string,
  leaseToken: string,
  status: 'succeeded' | 'failed',
): Promise<boolean> {
  const { rowCount } = await tx.query(
    "update refunds set status = $3, settled_at = clock_timestamp() where id = $1 and lease_token = $2 and status = 'due'",
    [id, leaseToken, status],
  );
  return rowCount === 1;
}

/**
 * Ends the lease on a refund that is not finished, to be claimed again in `seconds`.
 * @param nextKey whether the next attempt needs another idempotency key
 */
export async function postponeRefund(
  db: Database,
  id: string,
  leaseToken: string,
  retry: { seconds: number; nextKey: boolean; isFailure: boolean },
): Promise<void> {
  await db.query(
    `update refunds
     set lease_until = '-infinity', attempt = attempt + $4::int, failures = failures + $5::int,
         next_attempt_at = clock_timestamp() + make_interval(secs => $3)
     where id = $1 and lease_token = $2`,
    [id, leaseToken, retry.seconds, retry.nextKey ? 1 : 0, retry.isFailure ? 1 : 0],
  );
}
