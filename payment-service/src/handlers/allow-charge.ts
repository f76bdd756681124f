// The stock is held: the charge may begin, as soon as we know what to charge.
import { inTransaction } from '@glasshouse/shared/postgres';
import { currentCause } from '@glasshouse/shared/telemetry';
import { lockPaymentOf, updatePayment } from '../data/payment-repository.ts';
import type { Deps } from '../deps.ts';
import { isChargeable, reserve } from '../domain/payment.ts';

export interface AllowCharge {
  orderId: string;
}

export async function allowCharge({ orderId }: AllowCharge, { db, wakeCharges }: Deps): Promise<void> {
  await inTransaction(db, async (tx) => {
    const payment = reserve(await lockPaymentOf(tx, orderId));
    const mayBegin = isChargeable(payment);
    // The charge goes on with the event that made it possible.
    await updatePayment(tx, payment, mayBegin ? currentCause() : undefined);
    if (mayBegin) tx.afterCommit(wakeCharges);
  });
}
