// An order was placed: what is to be charged becomes known. Nothing is charged before the stock is held.
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockPaymentOf, setChargeCause, updatePayment } from '../data/payment-repository.ts';
import type { Deps } from '../deps.ts';
import { isChargeable, note, type Terms } from '../domain/payment.ts';

export interface NotePayment {
  orderId: string;
  terms: Terms;
}

export async function notePayment({ orderId, terms }: NotePayment, { db, wakeCharges }: Deps): Promise<void> {
  await inTransaction(db, async (tx) => {
    const payment = note(await lockPaymentOf(tx, orderId), terms);
    await updatePayment(tx, payment);
    if (!isChargeable(payment)) return;
    await setChargeCause(tx, payment.id);
    tx.afterCommit(wakeCharges);
  });
}
