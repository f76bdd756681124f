// The building blocks that several events share.
import { z } from 'zod';

/** Integer minor units of an ISO 4217 currency: never a float. */
export const moneySchema = z.object({ amount: z.int().nonnegative(), currency: z.string().regex(/^[A-Z]{3}$/) });
export type Money = z.output<typeof moneySchema>;

export const addressSchema = z.object({
  name: z.string(),
  line1: z.string(),
  line2: z.string().optional(),
  city: z.string(),
  region: z.string().optional(),
  postalCode: z.string(),
  country: z.string().length(2),
});
export type Address = z.output<typeof addressSchema>;

export const quantitySchema = z.object({ productId: z.uuid(), quantity: z.int().positive() });
export type ItemQuantity = z.output<typeof quantitySchema>;

export const cancelReasons = ['out_of_stock', 'payment_declined', 'customer', 'timeout'] as const;
export type CancelReason = (typeof cancelReasons)[number];
