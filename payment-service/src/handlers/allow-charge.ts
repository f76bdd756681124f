// The stock is held: the charge may begin, as soon as we know what to charge.
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockPaymentOf, setChargeCause, updatePayment } from '../data/payment-repository.ts';
import type { Deps } from '../deps.ts';
import { isChargeable, reserve } from '../domain/payment.ts';

export interface AllowCharge {
  orderId: string;
}

export async function allowCharge({ orderId }: AllowCharge, { db, wakeCharges }: Deps): Promise<void> {
  await inTransaction(db, async (tx) => {
    const payment = reserve(await lockPaymentOf(tx, orderId));
    await updatePayment(tx, payment);
    if (!isChargeable(payment)) return;
    await setChargeCause(tx, payment.id);
    tx.afterCommit(wakeCharges);
  });
}
