// What becomes of orders, counted when it is committed: the figures that the promise to customers is judged by.

import { cancelReasons } from '@glasshouse/shared/contracts';
import type { Transaction } from '@glasshouse/shared/postgres';
import { counter, durationHistogram, gauge, tellAbout, workSpan } from '@glasshouse/shared/telemetry';
import { countPendingByAge } from './data/order-repository.ts';
import { type Order, orderStatuses } from './domain/order.ts';

/** From what is usual to the deadline and beyond it, in seconds. */
const BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const recordTimeToFinal = durationHistogram(
  'glasshouse.order.time_to_final',
  'From an order being placed to its being confirmed or cancelled.',
  BOUNDS,
);
const transitions = counter('glasshouse.order.transitions', '{order}', 'Orders that have come into a state.');

/** @param before the order as it was; undefined for a new one */
export function countChange(
  tx: Transaction,
  before: Order | undefined,
  { status, cancelReason, ...after }: Order,
): void {
  if (before?.status === status) return;
  const attributes = {
    'order.status': status,
    ...(cancelReason !== undefined && { 'order.cancel_reason': cancelReason }),
  };
  tellAbout({ orderId: after.id });
  const span = workSpan();
  tx.afterCommit(() => {
    span.setAttributes(attributes);
    transitions.count(attributes);
    // By the database's clock, at both ends.
    if (before?.status === 'pending')
      recordTimeToFinal((after.updatedAt.getTime() - after.createdAt.getTime()) / 1000, attributes);
  });
}

/** What is told although nothing happens: how many orders are pending, by how long they have been. Each copy tells of all of them. */
export function observeOrders(db: Parameters<typeof countPendingByAge>[0]): void {
  transitions.startWith([
    ...orderStatuses.filter((status) => status !== 'cancelled').map((status) => ({ 'order.status': status })),
    ...cancelReasons.map((reason) => ({ 'order.status': 'cancelled', 'order.cancel_reason': reason })),
  ]);
  gauge('glasshouse.orders.pending', '{order}', 'Orders that are neither confirmed nor cancelled yet.', async () => {
    const pending = await countPendingByAge(db);
    return Object.entries(pending).map(([age, orders]) => [orders, { age }] as const);
  });
}
