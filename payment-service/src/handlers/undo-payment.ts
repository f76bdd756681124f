// An order was cancelled: what was not charged never will be, what is being charged is undone by the worker, what was captured goes back.
import { randomUUIDv7 } from 'node:crypto';
import { inTransaction, type Transaction } from '@glasshouse/shared/postgres';
import { lockPaymentOf, updatePayment } from '../data/payment-repository.ts';
import { insertRefund, listRefunds } from '../data/refund-repository.ts';
import type { Deps } from '../deps.ts';
import { cancel, type Payment } from '../domain/payment.ts';
import { refundable } from '../domain/refund.ts';

export interface UndoPayment {
  orderId: string;
}

export async function undoPayment({ orderId }: UndoPayment, deps: Deps): Promise<void> {
  await inTransaction(deps.db, async (tx) => {
    const before = await lockPaymentOf(tx, orderId);
    // Heard before: a refund that has failed since is for an admin to repeat.
    if (before.cancelRequested) return;
    const payment = cancel(before);
    await updatePayment(tx, payment);
    if (payment.status === 'charging') tx.afterCommit(deps.wakeCharges);
    if (payment.status === 'captured') await refundRest(tx, payment, deps);
  });
}

/** Makes a refund of whatever is left of a captured payment; none where nothing is. Under the payment's row lock. */
export async function refundRest(
  tx: Transaction,
  payment: Payment,
  { wakeRefunds }: Pick<Deps, 'wakeRefunds'>,
): Promise<void> {
  if (payment.terms === undefined) return;
  const { amount: captured, currency } = payment.terms.amount;
  const amount = refundable(captured, await listRefunds(tx, payment.id));
  if (amount <= 0) return;
  await insertRefund(tx, {
    id: randomUUIDv7(),
    paymentId: payment.id,
    amount: { amount, currency },
    reason: 'The order was cancelled.',
    cause: 'cancel',
    status: 'due',
  });
  tx.afterCommit(wakeRefunds);
}
