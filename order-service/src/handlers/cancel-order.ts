// Stock, money or time have run out, or the customer has changed their mind: the order is cancelled where its state allows it.
import type { Identity } from '@glasshouse/shared/auth';
import type { CancelReason, CloudEvent } from '@glasshouse/shared/contracts';
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockOrder, updateOrder } from '../data/order-repository.ts';
import { recordInTimeline, tell } from '../data/timeline-repository.ts';
import type { Deps } from '../deps.ts';
import { orderNotCancellable, orderNotFound } from '../domain/errors.ts';
import { cancel, type Order } from '../domain/order.ts';
import { countChange } from '../metrics.ts';
import { canSee } from './get-order.ts';

export interface CancelOrder {
  orderId: string;
  reason: CancelReason;
  /** The event that makes us cancel, if one does. */
  fact?: CloudEvent;
  /** Who asks for it, if somebody does: they are told when it is too late. */
  user?: Identity;
}

/**
 * @returns the order as it is now; one that was cancelled before stays as it was
 * @throws AppError `not-found`, also where it is somebody else's; `conflict` where a user asks and it was shipped
 */
export async function cancelOrder(command: CancelOrder, { db }: Pick<Deps, 'db'>): Promise<Order> {
  const { orderId, reason, fact, user } = command;
  return inTransaction(db, async (tx) => {
    const order = await lockOrder(tx, orderId);
    if (order === undefined || (user && !canSee(user, order))) throw orderNotFound();
    const { order: cancelled, events } = cancel(order, reason, tx.now);
    if (user && cancelled.status !== 'cancelled') throw orderNotCancellable(order.status);
    await Promise.all([
      fact && recordInTimeline(tx, orderId, fact),
      updateOrder(tx, cancelled),
      tell(tx, orderId, events),
    ]);
    countChange(tx, order, cancelled);
    return cancelled;
  });
}
