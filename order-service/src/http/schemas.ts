// What comes in and goes out over HTTP. Types and API documents come from here.
import { cancelReasons } from '@glasshouse/shared/contracts';
import { address, exampleAddress, listOf, money, moneyOut, pageQuery } from '@glasshouse/shared/http';
import { z } from 'zod';
import { type Order, orderStatuses } from '../domain/order.ts';
import type { TimelineEntry } from '../domain/timeline.ts';

const MAX_ITEMS = 100;
const MAX_QUANTITY = 10_000;

/** Test cards, by Stripe's names. */
const paymentMethods = ['pm_card_visa', 'pm_card_chargeDeclined', 'pm_card_chargeDeclinedInsufficientFunds'] as const;

const exampleProductId = '019b8d2b-8c00-7af8-b33f-d5143135f3c8';

const itemSchema = z.strictObject({
  productId: z.uuid().toLowerCase(),
  quantity: z.int().min(1).max(MAX_QUANTITY),
});

export const placeOrderBody = z
  .strictObject({
    items: z
      .array(itemSchema)
      .min(1)
      .max(MAX_ITEMS)
      .refine((items) => new Set(items.map((item) => item.productId)).size === items.length, {
        message: 'has a product twice',
      }),
    shippingAddress: address,
    paymentMethod: z.enum(paymentMethods),
    expectedTotal: z.strictObject({ ...money.shape, amount: z.int().nonnegative() }).optional(),
  })
  .meta({
    id: 'PlaceOrder',
    examples: [
      {
        items: [{ productId: exampleProductId, quantity: 2 }],
        shippingAddress: exampleAddress,
        paymentMethod: 'pm_card_visa',
      },
    ],
  });

export const listOrdersQuery = z.strictObject({ ...pageQuery, status: z.enum(orderStatuses).optional() });

export const orderSchema = z
  .object({
    id: z.uuid(),
    userId: z.uuid(),
    status: z.enum(orderStatuses),
    cancelReason: z.enum(cancelReasons).optional(),
    items: z.array(
      z.object({ productId: z.uuid(), name: z.string(), quantity: z.int(), unitPrice: moneyOut, lineTotal: moneyOut }),
    ),
    total: moneyOut,
    shippingAddress: address,
    paymentMethod: z.string(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({
    id: 'Order',
    examples: [
      {
        id: '019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10',
        userId: '019c0f3e-7a10-7c3e-9d41-5b1f6f0a2c01',
        status: 'confirmed',
        items: [
          {
            productId: exampleProductId,
            name: 'Enamel Kettle',
            quantity: 2,
            unitPrice: { amount: 4900, currency: 'USD' },
            lineTotal: { amount: 9800, currency: 'USD' },
          },
        ],
        total: { amount: 9800, currency: 'USD' },
        shippingAddress: exampleAddress,
        paymentMethod: 'pm_card_visa',
        createdAt: '2026-11-21T10:15:00.000Z',
        updatedAt: '2026-11-21T10:15:01.000Z',
      },
    ],
  });

export const orderListSchema = listOf(orderSchema);

export const timelineSchema = z
  .object({
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
  })
  .meta({
    id: 'Timeline',
    examples: [
      {
        items: [
          {
            id: '019c0f40-1be9-7a31-8d55-2c4e6f8a0b1c',
            type: 'order.created',
            source: 'order-service',
            time: '2026-11-21T10:15:00.000Z',
            traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
            summary: 'The order was placed: 98.00 USD.',
          },
        ],
      },
    ],
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
