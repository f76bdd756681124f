// The money was captured: a pending order is confirmed, whether or not we have heard of the hold yet.
import type { CloudEvent } from '@glasshouse/shared/contracts';
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockOrder, updateOrder } from '../data/order-repository.ts';
import { recordInTimeline, tell } from '../data/timeline-repository.ts';
import type { Deps } from '../deps.ts';
import { orderNotFound } from '../domain/errors.ts';
import { confirm } from '../domain/order.ts';
import { countChange } from '../metrics.ts';

export interface ConfirmOrder {
  orderId: string;
  fact: CloudEvent;
}

export async function confirmOrder({ orderId, fact }: ConfirmOrder, { db }: Pick<Deps, 'db'>): Promise<void> {
  await inTransaction(db, async (tx) => {
    const order = await lockOrder(tx, orderId);
    if (order === undefined) throw orderNotFound();
    const { order: confirmed, events } = confirm(order, tx.now);
    await Promise.all([recordInTimeline(tx, orderId, fact), updateOrder(tx, confirmed), tell(tx, orderId, events)]);
    countChange(tx, order, confirmed);
  });
}
