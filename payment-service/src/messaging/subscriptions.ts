// The event table: which event becomes which command.
import { inventoryReserved, orderCancelled, orderCreated } from '@glasshouse/shared/contracts';
import { on, type Subscription } from '@glasshouse/shared/event-bus';
import type { Deps } from '../deps.ts';
import { allowCharge } from '../handlers/allow-charge.ts';
import { notePayment } from '../handlers/note-payment.ts';
import { undoPayment } from '../handlers/undo-payment.ts';

export const subscriptions: Subscription<Deps>[] = [
  on(orderCreated, notePayment, ({ data: { orderId, userId, items, total, paymentMethod, payBy } }) => ({
    orderId,
    terms: { userId, amount: total, paymentMethod, payBy: new Date(payBy), items },
  })),
  on(inventoryReserved, allowCharge, ({ data: { orderId } }) => ({ orderId })),
  on(orderCancelled, undoPayment, ({ data: { orderId } }) => ({ orderId })),
];
