// The event table: which event becomes which command.
import { orderCancelled, orderConfirmed, orderCreated } from '@glasshouse/shared/contracts';
import { on, type Subscription } from '@glasshouse/shared/event-bus';
import type { Deps } from '../deps.ts';
import { holdStock } from '../handlers/hold-stock.ts';
import { releaseStock } from '../handlers/release-stock.ts';
import { sellStock } from '../handlers/sell-stock.ts';

export const subscriptions: Subscription<Deps>[] = [
  on(orderCreated, holdStock, ({ data: { orderId, userId, items, payBy } }) => ({
    orderId,
    userId,
    items: items.map(({ productId, quantity }) => ({ productId, quantity })),
    payBy: new Date(payBy),
  })),
  on(orderConfirmed, sellStock, ({ data: { orderId } }) => ({ orderId })),
  on(orderCancelled, releaseStock, ({ data: { orderId, userId } }) => ({ orderId, userId })),
];
