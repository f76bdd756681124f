// The saga, read top to bottom: on which event which service does what, what it tells then, and what undoes it.
// It is data for people, documents and tests; no service imports it. Nobody conducts: each service knows only its own rows.
import type { ServiceName } from './envelope.ts';

export interface SagaStep {
  /** The event, or what a person or a clock does. */
  on: string;
  service: ServiceName;
  /** The function's name in the service's `handlers/` or `workers/`. */
  handler: string;
  /** The events that it may tell, one or none of them. */
  emits: readonly string[];
  /** Whether stock or money changes hands here, and the handler that gives it back. */
  changes?: { what: string; undoneBy: string };
  /** Where the money moves: everything before it must have its undoing. */
  movesMoney?: true;
  note: string;
}

export const orderSaga: readonly SagaStep[] = [
  {
    on: 'POST /v1/orders',
    service: 'order-service',
    handler: 'placeOrder',
    emits: ['order.created'],
    changes: { what: 'an order is pending', undoneBy: 'cancelOrder' },
    note: 'Priced by the price list; committed as pending.',
  },
  {
    on: 'order.created',
    service: 'product-service',
    handler: 'holdStock',
    emits: ['inventory.reserved', 'inventory.rejected'],
    changes: { what: 'stock is held', undoneBy: 'releaseStock' },
    note: 'All items or none; nothing after the deadline.',
  },
  {
    on: 'order.created',
    service: 'payment-service',
    handler: 'notePayment',
    emits: [],
    changes: { what: 'a payment is due', undoneBy: 'undoPayment' },
    note: 'Notes what is to be charged; charges nothing yet.',
  },
  {
    on: 'inventory.reserved',
    service: 'payment-service',
    handler: 'allowCharge',
    emits: [],
    changes: { what: 'the charge may begin', undoneBy: 'undoPayment' },
    note: 'The stock is held: the charge is due.',
  },
  {
    on: 'inventory.reserved',
    service: 'order-service',
    handler: 'noteFact',
    emits: [],
    note: 'For the timeline.',
  },
  {
    on: 'inventory.rejected',
    service: 'order-service',
    handler: 'cancelOrder',
    emits: ['order.cancelled'],
    note: 'Cancels a pending order: out_of_stock.',
  },
  {
    on: 'a charge is due',
    service: 'payment-service',
    handler: 'charge-due-payments',
    emits: ['payment.captured', 'payment.failed'],
    changes: { what: 'the customer is charged', undoneBy: 'undoPayment' },
    movesMoney: true,
    note: 'Creates an intent, stores it under the lease, confirms it, records the outcome.',
  },
  {
    on: 'payment.captured',
    service: 'order-service',
    handler: 'confirmOrder',
    emits: ['order.confirmed'],
    note: 'Confirms a pending order; a cancelled one stays cancelled.',
  },
  {
    on: 'payment.failed',
    service: 'order-service',
    handler: 'cancelOrder',
    emits: ['order.cancelled'],
    note: 'Cancels a pending order: payment_declined.',
  },
  {
    on: 'the deadline',
    service: 'order-service',
    handler: 'cancel-overdue-orders',
    emits: ['order.cancelled'],
    note: 'Cancels a pending order: timeout. Only once everything that waits in the queue has been heard.',
  },
  {
    on: 'POST /v1/orders/:id/cancel',
    service: 'order-service',
    handler: 'cancelOrder',
    emits: ['order.cancelled'],
    note: 'Cancels a pending or confirmed order: customer.',
  },
  {
    on: 'order.confirmed',
    service: 'product-service',
    handler: 'sellStock',
    emits: [],
    changes: { what: 'held stock is sold', undoneBy: 'releaseStock' },
    note: 'The hold becomes a sale.',
  },
  {
    on: 'order.confirmed',
    service: 'notification-service',
    handler: 'writeMail',
    emits: [],
    note: 'Tells the customer.',
  },
  {
    on: 'order.cancelled',
    service: 'product-service',
    handler: 'releaseStock',
    emits: ['inventory.released'],
    note: 'Gives back what was held or sold.',
  },
  {
    on: 'order.cancelled',
    service: 'payment-service',
    handler: 'undoPayment',
    emits: [],
    note: 'Never charges, or refunds what was captured.',
  },
  {
    on: 'order.cancelled',
    service: 'notification-service',
    handler: 'writeMail',
    emits: [],
    note: 'Tells the customer.',
  },
  {
    on: 'POST /v1/orders/:id/ship',
    service: 'order-service',
    handler: 'shipOrder',
    emits: ['order.shipped'],
    note: 'A confirmed order; from here on it cannot be cancelled.',
  },
  {
    on: 'order.shipped',
    service: 'notification-service',
    handler: 'writeMail',
    emits: [],
    note: 'Tells the customer.',
  },
  {
    on: 'POST /v1/orders/:id/deliver',
    service: 'order-service',
    handler: 'deliverOrder',
    emits: ['order.delivered'],
    note: 'A shipped order.',
  },
  {
    on: 'order.delivered',
    service: 'notification-service',
    handler: 'writeMail',
    emits: [],
    note: 'Tells the customer.',
  },
  {
    on: 'POST /v1/payments/:id/refunds',
    service: 'payment-service',
    handler: 'requestRefund',
    emits: [],
    note: 'An admin gives back some or all of what was captured; the order keeps its status.',
  },
  {
    on: 'a refund is due',
    service: 'payment-service',
    handler: 'make-due-refunds',
    emits: ['payment.refunded', 'payment.refund-failed'],
    note: 'Looks for itself at the provider first.',
  },
  {
    on: 'inventory.released',
    service: 'order-service',
    handler: 'noteFact',
    emits: [],
    note: 'For the timeline.',
  },
  {
    on: 'payment.refunded',
    service: 'order-service',
    handler: 'noteFact',
    emits: [],
    note: 'For the timeline.',
  },
  {
    on: 'payment.refunded',
    service: 'notification-service',
    handler: 'writeMail',
    emits: [],
    note: 'Tells the customer.',
  },
  {
    on: 'payment.refund-failed',
    service: 'order-service',
    handler: 'noteFact',
    emits: [],
    note: 'For the timeline; the auditor shows it.',
  },
];
