// What order-service tells the others: the order, and its fate.
import { z } from 'zod';
import { defineEvent } from './envelope.ts';
import { addressSchema, cancelReasons, moneySchema, quantitySchema } from './types.ts';

const pricedItemSchema = quantitySchema.extend({ unitPrice: moneySchema });

export const orderCreated = defineEvent({
  type: 'order.created',
  from: 'order-service',
  to: ['product-service', 'payment-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({
    orderId: z.uuid(),
    userId: z.uuid(),
    /** The names are for the invoice; orders placed before they were told have none. */
    items: z.array(pricedItemSchema.extend({ name: z.string().optional() })).min(1),
    total: moneySchema,
    paymentMethod: z.string(),
    shippingAddress: addressSchema,
    /** After this moment nothing is held and no charge is begun. */
    payBy: z.iso.datetime(),
  }),
});

export const orderConfirmed = defineEvent({
  type: 'order.confirmed',
  from: 'order-service',
  to: ['product-service', 'notification-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({
    orderId: z.uuid(),
    userId: z.uuid(),
    items: z.array(pricedItemSchema).min(1),
    total: moneySchema,
  }),
});

export const orderCancelled = defineEvent({
  type: 'order.cancelled',
  from: 'order-service',
  to: ['product-service', 'payment-service', 'notification-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({ orderId: z.uuid(), userId: z.uuid(), cancelReason: z.enum(cancelReasons) }),
});

export const orderShipped = defineEvent({
  type: 'order.shipped',
  from: 'order-service',
  to: ['notification-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({ orderId: z.uuid(), userId: z.uuid() }),
});

export const orderDelivered = defineEvent({
  type: 'order.delivered',
  from: 'order-service',
  to: ['notification-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({ orderId: z.uuid(), userId: z.uuid() }),
});
