// An order was placed: what is to be charged becomes known. Nothing is charged before the stock is held.
import { inTransaction } from '@glasshouse/shared/postgres';
import { currentCause } from '@glasshouse/shared/telemetry';
import { lockPaymentOf, updatePayment } from '../data/payment-repository.ts';
import type { Deps } from '../deps.ts';
import { isChargeable, note, type Terms } from '../domain/payment.ts';

export interface NotePayment {
  orderId: string;
  terms: Terms;
}

export async function notePayment({ orderId, terms }: NotePayment, { db, wakeCharges }: Deps): Promise<void> {
  await inTransaction(db, async (tx) => {
    const payment = note(await lockPaymentOf(tx, orderId), terms);
    const mayBegin = isChargeable(payment);
    // The charge goes on with the event that made it possible.
    await updatePayment(tx, payment, mayBegin ? currentCause() : undefined);
    if (mayBegin) tx.afterCommit(wakeCharges);
  });
}
