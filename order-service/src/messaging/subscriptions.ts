// The event table: which event becomes which command.
import {
  inventoryRejected,
  inventoryReleased,
  inventoryReserved,
  paymentCaptured,
  paymentFailed,
  paymentRefunded,
  paymentRefundFailed,
  productCreated,
  productDeleted,
  productUpdated,
} from '@glasshouse/shared/contracts';
import { on, type Subscription } from '@glasshouse/shared/event-bus';
import type { Deps } from '../deps.ts';
import { type CancelOrder, cancelOrder } from '../handlers/cancel-order.ts';
import { confirmOrder } from '../handlers/confirm-order.ts';
import { noteFact } from '../handlers/note-fact.ts';
import { updatePriceList } from '../handlers/update-price-list.ts';

export const subscriptions: Subscription<Deps>[] = [
  on(productCreated, updatePriceList, ({ data }) => ({ ...data, deleted: false })),
  on(productUpdated, updatePriceList, ({ data }) => ({ ...data, deleted: false })),
  on(productDeleted, updatePriceList, ({ data }) => ({ ...data, deleted: true })),
  on(inventoryReserved, noteFact, (fact) => ({ orderId: fact.data.orderId, fact })),
  on(
    inventoryRejected,
    cancelOrder,
    (fact): CancelOrder => ({ orderId: fact.data.orderId, reason: 'out_of_stock', fact }),
  ),
  on(inventoryReleased, noteFact, (fact) => ({ orderId: fact.data.orderId, fact })),
  on(paymentCaptured, confirmOrder, (fact) => ({ orderId: fact.data.orderId, fact })),
  on(
    paymentFailed,
    cancelOrder,
    (fact): CancelOrder => ({ orderId: fact.data.orderId, reason: 'payment_declined', fact }),
  ),
  on(paymentRefunded, noteFact, (fact) => ({ orderId: fact.data.orderId, fact })),
  on(paymentRefundFailed, noteFact, (fact) => ({ orderId: fact.data.orderId, fact })),
];
