// An admin gives money back, some of it or all that is left. The refund is due from now on; the order keeps its status.
import { randomUUIDv7 } from 'node:crypto';
import type { Money } from '@glasshouse/shared/contracts';
import { findIdempotent, inTransaction, takeIdempotencyKey } from '@glasshouse/shared/postgres';
import type { IdempotentRequest } from '@glasshouse/shared/resilience';
import { lockPayment } from '../data/payment-repository.ts';
import { findRefund, insertRefund, listRefunds } from '../data/refund-repository.ts';
import type { Deps } from '../deps.ts';
import { paymentNotFound } from '../domain/errors.ts';
import { amountToRefund, type Refund } from '../domain/refund.ts';

export interface RequestRefund {
  request: IdempotentRequest;
  paymentId: string;
  /** In minor units of the payment's currency, where none is named; all that is left, where not given. */
  amount?: Money | number | undefined;
  reason: string;
}

/**
 * @returns the refund; where the request was made before, that one as it is now
 * @throws AppError `not-found`; `invalid` where nothing was captured, less than that is left, or a key is used with another body
 */
export async function requestRefund(command: RequestRefund, { db, wakeRefunds }: Deps): Promise<Refund> {
  const { request, paymentId, amount, reason } = command;
  return inTransaction(db, async (tx) => {
    // Whoever else gives back of this payment, a cancellation too, waits here, so that what is left is still left below.
    const payment = await lockPayment(tx, paymentId);
    if (payment?.terms === undefined) throw paymentNotFound();
    const earlier = await findIdempotent(tx, request);
    const made = earlier && (await findRefund(tx, earlier));
    if (made) return made;

    const refund = await insertRefund(tx, {
      id: randomUUIDv7(),
      paymentId,
      amount: amountToRefund(payment, await listRefunds(tx, paymentId), amount),
      reason,
      cause: 'admin',
      status: 'due',
    });
    await takeIdempotencyKey(tx, request, refund.id);
    tx.afterCommit(wakeRefunds);
    return refund;
  });
}
