// What comes in and goes out over HTTP. Types and API documents come from here.
import { listOf, money, moneyOut, pageQuery, text } from '@glasshouse/shared/http';
import { z } from 'zod';
import type { PaymentView } from '../data/payment-repository.ts';
import type { Invoice } from '../domain/invoice.ts';
import { paymentStatuses } from '../domain/payment.ts';
import { type Refund, refundStatuses } from '../domain/refund.ts';

export const listPaymentsQuery = z.strictObject({ ...pageQuery, orderId: z.uuid().toLowerCase().optional() });

export const requestRefundBody = z
  .strictObject({
    /** Money, or minor units of the payment's currency; all that is left, where not given. */
    amount: z.union([z.int().positive(), z.strictObject({ ...money.shape, amount: z.int().positive() })]).optional(),
    reason: text(1, 500),
  })
  .meta({
    id: 'RequestRefund',
    examples: [{ amount: { amount: 1000, currency: 'USD' }, reason: 'A scratch on the kettle.' }],
  });

export const paymentSchema = z
  .object({
    id: z.uuid(),
    orderId: z.uuid(),
    status: z.enum(paymentStatuses),
    amount: moneyOut,
    refunded: moneyOut,
    failureCode: z.string().optional(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({
    id: 'Payment',
    examples: [
      {
        id: '019c0f40-1c88-7b0e-b1d2-6f2f8e9a7d20',
        orderId: '019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10',
        status: 'captured',
        amount: { amount: 9800, currency: 'USD' },
        refunded: { amount: 0, currency: 'USD' },
        createdAt: '2026-11-21T10:15:00.000Z',
        updatedAt: '2026-11-21T10:15:01.000Z',
      },
    ],
  });

export const paymentListSchema = listOf(paymentSchema);

export const refundSchema = z
  .object({
    id: z.uuid(),
    paymentId: z.uuid(),
    amount: moneyOut,
    reason: z.string(),
    status: z.enum(refundStatuses),
    createdAt: z.iso.datetime(),
  })
  .meta({
    id: 'Refund',
    examples: [
      {
        id: '019c0f47-52a4-7e19-a0c3-94be1d5f7e30',
        paymentId: '019c0f40-1c88-7b0e-b1d2-6f2f8e9a7d20',
        amount: { amount: 1000, currency: 'USD' },
        reason: 'A scratch on the kettle.',
        status: 'due',
        createdAt: '2026-11-21T10:15:01.000Z',
      },
    ],
  });

export const invoiceSchema = z
  .object({
    number: z.string(),
    issuedAt: z.iso.datetime(),
    paymentId: z.uuid(),
    orderId: z.uuid(),
    userId: z.uuid(),
    lines: z.array(
      z.object({
        productId: z.uuid(),
        name: z.string().optional(),
        quantity: z.int(),
        unitPrice: moneyOut,
        lineTotal: moneyOut,
      }),
    ),
    total: moneyOut,
    refunds: z.array(z.object({ id: z.uuid(), amount: moneyOut, reason: z.string(), refundedAt: z.iso.datetime() })),
    /** Total less refunds. */
    balance: moneyOut,
  })
  .meta({
    id: 'Invoice',
    examples: [
      {
        number: 'INV-20261121-6F2F8E9A7D20',
        issuedAt: '2026-11-21T10:15:01.000Z',
        paymentId: '019c0f40-1c88-7b0e-b1d2-6f2f8e9a7d20',
        orderId: '019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10',
        userId: '019c0f3e-7a10-7c3e-9d41-5b1f6f0a2c01',
        lines: [
          {
            productId: '019b8d2b-8c00-7af8-b33f-d5143135f3c8',
            name: 'Enamel Kettle',
            quantity: 2,
            unitPrice: { amount: 4900, currency: 'USD' },
            lineTotal: { amount: 9800, currency: 'USD' },
          },
        ],
        total: { amount: 9800, currency: 'USD' },
        refunds: [
          {
            id: '019c0f47-52a4-7e19-a0c3-94be1d5f7e30',
            amount: { amount: 1000, currency: 'USD' },
            reason: 'A scratch on the kettle.',
            refundedAt: '2026-11-21T10:23:00.000Z',
          },
        ],
        balance: { amount: 8800, currency: 'USD' },
      },
    ],
  });

export function toInvoiceJson(invoice: Invoice): z.input<typeof invoiceSchema> {
  return {
    ...invoice,
    issuedAt: invoice.issuedAt.toISOString(),
    refunds: invoice.refunds.map(({ id, amount, reason, settledAt, createdAt }) => ({
      id,
      amount,
      reason,
      refundedAt: (settledAt ?? createdAt).toISOString(),
    })),
  };
}

export function toRefundJson(refund: Refund): z.input<typeof refundSchema> {
  const { cause: _cause, settledAt: _settledAt, createdAt, ...rest } = refund;
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
