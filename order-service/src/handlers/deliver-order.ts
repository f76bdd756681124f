// An order has reached its customer.
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockOrder, updateOrder } from '../data/order-repository.ts';
import { tell } from '../data/timeline-repository.ts';
import type { Deps } from '../deps.ts';
import { orderNotFound } from '../domain/errors.ts';
import { deliver, type Order } from '../domain/order.ts';
import { countChange } from '../metrics.ts';

export interface DeliverOrder {
  orderId: string;
}

/** @throws AppError `not-found`; `conflict` where the order was not shipped */
export async function deliverOrder({ orderId }: DeliverOrder, { db }: Pick<Deps, 'db'>): Promise<Order> {
  return inTransaction(db, async (tx) => {
    const order = await lockOrder(tx, orderId);
    if (order === undefined) throw orderNotFound();
    const { order: delivered, events } = deliver(order, tx.now);
    await Promise.all([updateOrder(tx, delivered), tell(tx, orderId, events)]);
    countChange(tx, order, delivered);
    return delivered;
  });
}
