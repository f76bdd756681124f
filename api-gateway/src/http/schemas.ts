// What the gateway itself answers with, and what it has to understand of the services' answers for that: what is in them beyond it is passed on.
import { z } from 'zod';

export const overviewParts = ['payment', 'products', 'notifications'] as const;

export const orderIn = z.looseObject({
  id: z.uuid(),
  items: z.array(z.looseObject({ productId: z.uuid() })),
});
export const productIn = z.looseObject({ id: z.uuid() });
export const pageIn = z.looseObject({ items: z.array(z.looseObject({ id: z.uuid() })) });

export const overviewSchema = z
  .object({
    order: orderIn,
    /** Null also before there is one. */
    payment: z.looseObject({ id: z.uuid() }).nullable(),
    /** Those of the order that are still in the catalogue. */
    products: z.array(productIn),
    notifications: pageIn.shape.items,
    /** What could not be had: null or empty above. */
    unavailable: z.array(z.enum(overviewParts)),
  })
  .meta({
    id: 'OrderOverview',
    examples: [
      {
        order: {
          id: '019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10',
          userId: '019c0f3e-7a10-7c3e-9d41-5b1f6f0a2c01',
          status: 'confirmed',
          items: [
            {
              productId: '019b8d2b-8c00-7af8-b33f-d5143135f3c8',
              name: 'Enamel Kettle',
              quantity: 2,
              unitPrice: { amount: 4900, currency: 'USD' },
              lineTotal: { amount: 9800, currency: 'USD' },
            },
          ],
          total: { amount: 9800, currency: 'USD' },
          shippingAddress: {
            name: 'Alice Example',
            line1: '1 Main Street',
            city: 'Springfield',
            region: 'IL',
            postalCode: '62701',
            country: 'US',
          },
          paymentMethod: 'pm_card_visa',
          createdAt: '2026-11-21T10:15:00.000Z',
          updatedAt: '2026-11-21T10:15:01.000Z',
        },
        payment: {
          id: '019c0f40-1c88-7b0e-b1d2-6f2f8e9a7d20',
          orderId: '019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10',
          status: 'captured',
          amount: { amount: 9800, currency: 'USD' },
          refunded: { amount: 0, currency: 'USD' },
          createdAt: '2026-11-21T10:15:00.000Z',
          updatedAt: '2026-11-21T10:15:01.000Z',
        },
        products: [
          {
            id: '019b8d2b-8c00-7af8-b33f-d5143135f3c8',
            name: 'Enamel Kettle',
            description: 'For the stove.',
            category: 'kitchen',
            price: { amount: 4900, currency: 'USD' },
            stock: 120,
            rating: { average: 4.5, count: 12 },
            version: 1,
            createdAt: '2026-11-01T08:00:00.000Z',
            updatedAt: '2026-11-01T08:00:00.000Z',
          },
        ],
        notifications: [],
        unavailable: ['notifications'],
      },
    ],
  });
