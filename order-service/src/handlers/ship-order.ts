// An order leaves the house. Against a cancellation at the same moment the row lock decides: one wins, the other is told.
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockOrder, updateOrder } from '../data/order-repository.ts';
import { tell } from '../data/timeline-repository.ts';
import type { Deps } from '../deps.ts';
import { orderNotFound } from '../domain/errors.ts';
import { type Order, ship } from '../domain/order.ts';
import { countChange } from '../metrics.ts';

export interface ShipOrder {
  orderId: string;
}

/** @throws AppError `not-found`; `conflict` where the order is not confirmed */
export async function shipOrder({ orderId }: ShipOrder, { db }: Pick<Deps, 'db'>): Promise<Order> {
  return inTransaction(db, async (tx) => {
    const order = await lockOrder(tx, orderId);
    if (order === undefined) throw orderNotFound();
    const { order: shipped, events } = ship(order, tx.now);
    await Promise.all([updateOrder(tx, shipped), tell(tx, orderId, events)]);
    countChange(tx, order, shipped);
    return shipped;
  });
}
