// What comes in and goes out over HTTP. Types and API documents come from here.
import { money, pageQuery, text } from '@glasshouse/shared/http';
import { z } from 'zod';
import type { PaymentView } from '../data/payment-repository.ts';
import { paymentStatuses } from '../domain/payment.ts';
import { type Refund, refundStatuses } from '../domain/refund.ts';

export const listPaymentsQuery = z.strictObject({ ...pageQuery, orderId: z.uuid().toLowerCase().optional() });

export const requestRefundBody = z.strictObject({
  /** Money, or minor units of the payment's currency; all that is left, where not given. */
  amount: z.union([z.int().positive(), z.strictObject({ ...money.shape, amount: z.int().positive() })]).optional(),
  reason: text(1, 500),
});

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

export const refundSchema = z.object({
  id: z.uuid(),
  paymentId: z.uuid(),
  amount: moneyOut,
  reason: z.string(),
  status: z.enum(refundStatuses),
  createdAt: z.iso.datetime(),
});

export function toRefundJson(refund: Refund): z.input<typeof refundSchema> {
  const { cause: _cause, createdAt, ...rest } = refund;
  return { ...rest, createdAt: createdAt.toISOString() };
}

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
