// Stock, money or time have run out, or the customer has changed their mind: the order is cancelled where its state allows it.
import type { CancelReason, CloudEvent } from '@glasshouse/shared/contracts';
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockOrder, updateOrder } from '../data/order-repository.ts';
import { recordInTimeline, tell } from '../data/timeline-repository.ts';
import type { Deps } from '../deps.ts';
import { orderNotFound } from '../domain/errors.ts';
import { cancel } from '../domain/order.ts';

export interface CancelOrder {
  orderId: string;
  reason: CancelReason;
  /** The event that makes us cancel, if one does. */
  fact?: CloudEvent;
}

export async function cancelOrder({ orderId, reason, fact }: CancelOrder, { db }: Pick<Deps, 'db'>): Promise<void> {
  await inTransaction(db, async (tx) => {
    const order = await lockOrder(tx, orderId);
    if (order === undefined) throw orderNotFound();
    if (fact !== undefined) await recordInTimeline(tx, orderId, fact);
    const { order: cancelled, events } = cancel(order, reason, tx.now);
    await updateOrder(tx, cancelled);
    await tell(tx, orderId, events);
  });
}
