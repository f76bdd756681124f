// Reading orders: their customer sees them, and admins do; for anyone else they do not exist.
import { type Identity, isAdmin } from '@glasshouse/shared/auth';
import { type Page, readCursor, toPage } from '@glasshouse/shared/http';
import { z } from 'zod';
import { findOrder, listOrders } from '../data/order-repository.ts';
import { listTimeline } from '../data/timeline-repository.ts';
import type { Deps } from '../deps.ts';
import { orderNotFound } from '../domain/errors.ts';
import type { Order, OrderStatus } from '../domain/order.ts';
import { inCausalOrder, type TimelineEntry } from '../domain/timeline.ts';

/** Its customer and admins; for anyone else it is not there. */
export const canSee = (user: Identity, order: Order) => order.userId === user.userId || isAdmin(user);

/** @throws AppError `not-found`, also where the order is somebody else's */
export async function getOrder(query: { orderId: string; user: Identity }, { db }: Pick<Deps, 'db'>): Promise<Order> {
  const order = await findOrder(db, query.orderId);
  if (order === undefined || !canSee(query.user, order)) throw orderNotFound();
  return order;
}

/** A customer's own orders, an admin's view of all; newest first. */
export async function getOrders(
  query: { user: Identity; status?: OrderStatus | undefined; cursor?: string | undefined; limit: number },
  { db }: Pick<Deps, 'db'>,
): Promise<Page<Order>> {
  const { user, status, cursor, limit } = query;
  const before = readCursor(cursor, z.uuid());
  const orders = await listOrders(db, { userId: isAdmin(user) ? undefined : user.userId, status, before, limit });
  return toPage(orders, limit, (order) => order.id);
}

/** @throws AppError `not-found`, also where the order is somebody else's */
export async function getTimeline(
  query: { orderId: string; user: Identity },
  deps: Pick<Deps, 'db'>,
): Promise<TimelineEntry[]> {
  const order = await getOrder(query, deps);
  return inCausalOrder(await listTimeline(deps.db, order.id));
}
