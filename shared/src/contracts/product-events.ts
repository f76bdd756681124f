// What product-service tells the others: its catalogue, and what became of the stock that an order wants.
import { z } from 'zod';
import { defineEvent } from './envelope.ts';
import { moneySchema, quantitySchema } from './types.ts';

/** A catalogue entry as others need it. Stock is not in it: it changes with every order. */
const snapshotSchema = z.object({
  productId: z.uuid(),
  name: z.string(),
  description: z.string(),
  category: z.string(),
  price: moneySchema,
  version: z.int().positive(),
});

export const productCreated = defineEvent({
  type: 'product.created',
  from: 'product-service',
  to: ['order-service'],
  subjectOf: (data) => data.productId,
  schema: snapshotSchema,
});

export const productUpdated = defineEvent({
  type: 'product.updated',
  from: 'product-service',
  to: ['order-service'],
  subjectOf: (data) => data.productId,
  schema: snapshotSchema,
});

export const productDeleted = defineEvent({
  type: 'product.deleted',
  from: 'product-service',
  to: ['order-service'],
  subjectOf: (data) => data.productId,
  schema: z.object({ productId: z.uuid(), version: z.int().positive() }),
});

export const inventoryReserved = defineEvent({
  type: 'inventory.reserved',
  from: 'product-service',
  to: ['payment-service', 'order-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({ orderId: z.uuid(), items: z.array(quantitySchema).min(1) }),
});

export const inventoryRejected = defineEvent({
  type: 'inventory.rejected',
  from: 'product-service',
  to: ['order-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({
    orderId: z.uuid(),
    shortages: z
      .array(z.object({ productId: z.uuid(), requested: z.int().positive(), available: z.int().nonnegative() }))
      .min(1),
  }),
});

export const inventoryReleased = defineEvent({
  type: 'inventory.released',
  from: 'product-service',
  to: ['order-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({ orderId: z.uuid(), items: z.array(quantitySchema).min(1) }),
});
