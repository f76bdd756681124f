// Payments in SQL, in and out as domain types. A lease is a token and an end, by the database's clock.
import { randomUUIDv7 } from 'node:crypto';
import type { Database, Queryable, Transaction } from '@glasshouse/shared/postgres';
import { type Cause, currentCause } from '@glasshouse/shared/telemetry';
import { LEASE_SECONDS } from '@glasshouse/shared/workers';
import type { Item, Payment, PaymentStatus } from '../domain/payment.ts';

interface PaymentRow {
  id: string;
  order_id: string;
  status: PaymentStatus;
  user_id: string | null;
  amount: number | null;
  currency: string | null;
  payment_method: string | null;
  pay_by: Date | null;
  items: Item[] | null;
  reserved: boolean;
  cancel_requested: boolean;
  failure_code: string | null;
  intent_id: string | null;
  attempt: number;
  failures: number;
  lease_token: string | null;
  correlation_id: string;
  causation_id: string | null;
  traceparent: string;
  captured_at: Date | null;
  created_at: Date;
  updated_at: Date;
}

/** By name: a statement that is kept prepared would not stand another column. */
const columns = `id, order_id, status, user_id, amount, currency, payment_method, pay_by, items, reserved, cancel_requested, failure_code, intent_id,
  attempt, failures, lease_token, correlation_id, causation_id, traceparent, captured_at, created_at, updated_at`;

/** A payment that a worker has claimed. */
export interface ClaimedPayment {
  payment: Payment;
  intentId: string | undefined;
  attempt: number;
  failures: number;
  leaseToken: string;
  cause: Cause;
}

function toPayment(row: PaymentRow): Payment {
  const { user_id: userId, amount, currency, payment_method: paymentMethod, pay_by: payBy } = row;
  const isKnown = userId !== null && amount !== null && currency !== null && paymentMethod !== null && payBy !== null;
  return {
    id: row.id,
    orderId: row.order_id,
    status: row.status,
    terms: isKnown ? { userId, amount: { amount, currency }, paymentMethod, payBy, items: row.items ?? [] } : undefined,
    reserved: row.reserved,
    cancelRequested: row.cancel_requested,
    failureCode: row.failure_code ?? undefined,
    capturedAt: row.captured_at ?? undefined,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** Locks the order's payment until the transaction ends, and creates it where it is not there yet. */
export async function lockPaymentOf(tx: Transaction, orderId: string): Promise<Payment> {
  // One that is there is locked by one statement; an insert that meets one, made by another event meanwhile, does nothing.
  const row = (await lockRowOf(tx, orderId)) ?? (await insertRowFor(tx, orderId)) ?? (await lockRowOf(tx, orderId));
  if (row === undefined) throw new Error(`the payment of order ${orderId} has vanished`);
  return toPayment(row);
}

async function lockRowOf(tx: Transaction, orderId: string): Promise<PaymentRow | undefined> {
  const { rows } = await tx.query<PaymentRow>(`select ${columns} from payments where order_id = $1 for update`, [
    orderId,
  ]);
  return rows[0];
}

async function insertRowFor(tx: Transaction, orderId: string): Promise<PaymentRow | undefined> {
  const { correlationId, traceparent } = currentCause();
  const { rows } = await tx.query<PaymentRow>(
    `insert into payments (id, order_id, correlation_id, traceparent) values ($1, $2, $3, $4) on conflict (order_id) do nothing
     returning ${columns}`,
    [randomUUIDv7(), orderId, correlationId, traceparent],
  );
  return rows[0];
}

/** Locks a payment until the transaction ends. */
export async function lockPayment(tx: Transaction, id: string): Promise<Payment | undefined> {
  const { rows } = await tx.query<PaymentRow>(`select ${columns} from payments where id = $1 for update`, [id]);
  return rows[0] && toPayment(rows[0]);
}

/** Locks a payment, if the lease on it is still ours. */
export async function lockLeased(tx: Transaction, id: string, leaseToken: string): Promise<Payment | undefined> {
  const { rows } = await tx.query<PaymentRow>(
    `select ${columns} from payments where id = $1 and lease_token = $2 for update`,
    [id, leaseToken],
  );
  return rows[0] && toPayment(rows[0]);
}

/**
 * Writes what a handler or a worker has decided. Whatever changes makes the row worth a look at once. A payment that was captured before
 * without its time, by an older copy of the service, gets the time that its invoice has shown all along.
 * @param causeOfCharge what the charge is to go on with, where it is about to begin
 */
export async function updatePayment(tx: Transaction, payment: Payment, causeOfCharge?: Cause): Promise<void> {
  const { terms } = payment;
  await tx.query(
    `update payments
     set status = $2, user_id = $3, amount = $4, currency = $5, payment_method = $6, pay_by = $7, reserved = $8, cancel_requested = $9,
         failure_code = $10, items = $11, 
         captured_at = case when $2 = 'captured' then
           coalesce(captured_at, case when status = 'captured' then created_at else clock_timestamp() end) end,
         correlation_id = coalesce($12, correlation_id), traceparent = coalesce($13, traceparent),
         causation_id = case when $13::text is null then causation_id else $14::uuid end,
         next_attempt_at = '-infinity', updated_at = clock_timestamp()
     where id = $1`,
    [
      payment.id,
      payment.status,
      terms?.userId ?? null,
      terms?.amount.amount ?? null,
      terms?.amount.currency ?? null,
      terms?.paymentMethod ?? null,
      terms?.payBy ?? null,
      payment.reserved,
      payment.cancelRequested,
      payment.failureCode ?? null,
      terms === undefined ? null : JSON.stringify(terms.items),
      causeOfCharge?.correlationId ?? null,
      causeOfCharge?.traceparent ?? null,
      causeOfCharge?.causationId ?? null,
    ],
  );
}

/** Claims one payment that is to be charged before its deadline, or whose charge was left under way. */
export async function claimPayment(db: Database): Promise<ClaimedPayment | undefined> {
  const { rows } = await db.query<PaymentRow & { lease_token: string }>(
    `update payments
     set lease_token = gen_random_uuid(), lease_until = clock_timestamp() + make_interval(secs => $1), next_attempt_at = clock_timestamp()
     where id = (
       select id from payments
       where (status = 'charging'
              or (status = 'due' and reserved and not cancel_requested and amount is not null and pay_by > clock_timestamp()))
         and lease_until < clock_timestamp() and next_attempt_at <= clock_timestamp()
       order by next_attempt_at limit 1 for update skip locked)
     returning ${columns}`,
    [LEASE_SECONDS],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  return {
    payment: toPayment(row),
    intentId: row.intent_id ?? undefined,
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
 * `due` becomes `charging` and gets the intent that alone may be confirmed, in one conditional statement.
 * @returns false where the lease has ended, the order was cancelled or the deadline has passed: then the intent must not be confirmed
 */
export async function beginCharge(db: Database, id: string, leaseToken: string, intentId: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update payments set status = 'charging', intent_id = $3, updated_at = clock_timestamp()
     where id = $1 and lease_token = $2 and status = 'due' and not cancel_requested
       and lease_until > clock_timestamp() and pay_by > clock_timestamp()`,
    [id, leaseToken, intentId],
  );
  return rowCount === 1;
}

/**
 * Whether the charge that is under way may still be confirmed: the lease is ours, nobody has cancelled, the deadline has not passed.
 * Read right before the confirmation.
 */
export async function mayConfirm(db: Database, id: string, leaseToken: string): Promise<boolean> {
  const { rows } = await db.query(
    `select 1 from payments where id = $1 and lease_token = $2 and status = 'charging' and not cancel_requested
       and lease_until > clock_timestamp() and pay_by > clock_timestamp()`,
    [id, leaseToken],
  );
  return rows.length === 1;
}

/**
 * Ends the lease on a payment that is not finished, to be claimed again in `seconds`; at once where an event has changed it meanwhile.
 * @param nextKey whether the next attempt needs another idempotency key
 */
export async function postponePayment(
  db: Database,
  id: string,
  leaseToken: string,
  retry: { seconds: number; nextKey: boolean; isFailure: boolean },
): Promise<void> {
  await db.query(
    `update payments
     set lease_until = '-infinity', attempt = attempt + $4::int, failures = failures + $5::int,
         next_attempt_at = case when next_attempt_at = '-infinity' then next_attempt_at
                                else clock_timestamp() + make_interval(secs => $3) end
     where id = $1 and lease_token = $2`,
    [id, leaseToken, retry.seconds, retry.nextKey ? 1 : 0, retry.isFailure ? 1 : 0],
  );
}

export type PaymentView = Payment & { refunded: number };

const view = `select ${columns}, coalesce((select sum(amount) from refunds where payment_id = payments.id and status = 'succeeded'), 0)::bigint as refunded
  from payments`;

export async function findPayment(db: Queryable, id: string): Promise<PaymentView | undefined> {
  const { rows } = await db.query<PaymentRow & { refunded: number }>(`${view} where id = $1`, [id]);
  return rows[0] && { ...toPayment(rows[0]), refunded: rows[0].refunded };
}

/**
 * Newest first, those only whose order is known; one more than `limit`, so that the caller sees whether there are more.
 * @param filter `before` is the id of the last payment of the page before
 */
export async function listPayments(
  db: Queryable,
  filter: { userId?: string | undefined; orderId?: string | undefined; before?: string | undefined; limit: number },
): Promise<PaymentView[]> {
  const values: unknown[] = [filter.limit + 1];
  const conditions = ['amount is not null'];
  const where = (condition: string, value: unknown) => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(`${condition} $${values.length}`);
  };
  where('user_id =', filter.userId);
  where('order_id =', filter.orderId);
  where('id <', filter.before);
  const { rows } = await db.query<PaymentRow & { refunded: number }>(
    `${view} where ${conditions.join(' and ')} order by id desc limit $1`,
    values,
  );
  return rows.map((row) => ({ ...toPayment(row), refunded: row.refunded }));
}
