// What comes in and goes out over HTTP. Types and API documents come from here.
import { pageQuery } from '@glasshouse/shared/http';
import { z } from 'zod';
import type { PaymentView } from '../data/payment-repository.ts';
import { paymentStatuses } from '../domain/payment.ts';

export const listPaymentsQuery = z.strictObject({ ...pageQuery, orderId: z.uuid().toLowerCase().optional() });

const moneyOut = z.object({ amount: z.int(), currency: z.string() });

export const paymentSchema = z.object({
  id: z.uuid(),
  orderId: z.uuid(),
  status: z.enum(paymentStatuses),
  amount: moneyOut,
  refunded: moneyOut,
  failureCode: z.string().optional(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
});

export const paymentListSchema = z.object({ items: z.array(paymentSchema), nextCursor: z.string().nullable() });

export function toPaymentJson(payment: PaymentView): z.input<typeof paymentSchema> {
  const { id, orderId, status, terms, refunded, failureCode, createdAt, updatedAt } = payment;
  const amount = terms?.amount ?? { amount: 0, currency: '' };
  return {
    id,
    orderId,
    status,
    amount,
    refunded: { amount: refunded, currency: amount.currency },
    ...(failureCode !== undefined && { failureCode }),
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}
