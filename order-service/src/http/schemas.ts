// What comes in and goes out over HTTP. Types and API documents come from here.
import { cancelReasons } from '@glasshouse/shared/contracts';
import { money, pageQuery, text } from '@glasshouse/shared/http';
import { z } from 'zod';
import { type Order, orderStatuses } from '../domain/order.ts';
import type { TimelineEntry } from '../domain/timeline.ts';

const MAX_ITEMS = 100;
const MAX_QUANTITY = 10_000;

/** Test cards, by Stripe's names. */
const paymentMethods = ['pm_card_visa', 'pm_card_chargeDeclined', 'pm_card_chargeDeclinedInsufficientFunds'] as const;

export const addressSchema = z.strictObject({
  name: text(1, 200),
  line1: text(1, 200),
  line2: text(1, 200).optional(),
  city: text(1, 100),
  region: text(1, 100).optional(),
  postalCode: text(1, 20),
  country: z.string().regex(/^[A-Z]{2}$/, 'is not an ISO 3166-1 alpha-2 code'),
});

const itemSchema = z.strictObject({
  productId: z.uuid().toLowerCase(),
  quantity: z.int().min(1).max(MAX_QUANTITY),
});

export const placeOrderBody = z.strictObject({
  items: z
    .array(itemSchema)
    .min(1)
    .max(MAX_ITEMS)
    .refine((items) => new Set(items.map((item) => item.productId)).size === items.length, {
      message: 'has a product twice',
    }),
  shippingAddress: addressSchema,
  paymentMethod: z.enum(paymentMethods),
  expectedTotal: z.strictObject({ ...money.shape, amount: z.int().nonnegative() }).optional(),
});

export const listOrdersQuery = z.strictObject({ ...pageQuery, status: z.enum(orderStatuses).optional() });

const moneyOut = z.object({ amount: z.int(), currency: z.string() });

export const orderSchema = z.object({
  id: z.uuid(),
  userId: z.uuid(),
  status: z.enum(orderStatuses),
  cancelReason: z.enum(cancelReasons).optional(),
  items: z.array(
    z.object({ productId: z.uuid(), name: z.string(), quantity: z.int(), unitPrice: moneyOut, lineTotal: moneyOut }),
  ),
  total: moneyOut,
  shippingAddress: addressSchema,
  paymentMethod: z.string(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

export const orderListSchema = z.object({ items: z.array(orderSchema), nextCursor: z.string().nullable() });

export const timelineSchema = z.object({
  items: z.array(
    z.object({
      id: z.uuid(),
      type: z.string(),
      source: z.string(),
      time: z.iso.datetime(),
      traceId: z.string(),
      summary: z.string(),
    }),
  ),
});

export function toOrderJson(order: Order): z.input<typeof orderSchema> {
  const { payBy: _payBy, cancelReason, items, createdAt, updatedAt, ...rest } = order;
  return {
    ...rest,
    ...(cancelReason !== undefined && { cancelReason }),
    items: items.map((item) => ({
      ...item,
      lineTotal: { amount: item.unitPrice.amount * item.quantity, currency: item.unitPrice.currency },
    })),
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}

export function toTimelineJson(entries: readonly TimelineEntry[]): z.input<typeof timelineSchema> {
  return {
    items: entries.map(({ causationId: _causationId, time, ...rest }) => ({ ...rest, time: time.toISOString() })),
  };
}
