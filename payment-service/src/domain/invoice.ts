// The invoice of a payment: what was bought for the money that came, what went back, and what is left.
import type { Money } from '@glasshouse/shared/contracts';
import { invoiceNotPossible } from './errors.ts';
import type { Item, Payment } from './payment.ts';
import { type Refund, refundable } from './refund.ts';

export interface Invoice {
  number: string;
  issuedAt: Date;
  paymentId: string;
  orderId: string;
  userId: string;
  /** Empty for an order that was placed before its items were told. */
  lines: (Item & { lineTotal: Money })[];
  total: Money;
  /** Those that were made. */
  refunds: Refund[];
  /** Total less refunds. */
  balance: Money;
}

/** The day, and of the payment's id (UUIDv7) the part that is random: not gap-free, but nobody learns from it how much is sold. */
function numberOf(payment: Payment, issuedAt: Date): string {
  const day = issuedAt.toISOString().slice(0, 10).replaceAll('-', '');
  return `INV-${day}-${payment.id.slice(-12).toUpperCase()}`;
}

/** @throws AppError `conflict` where nothing was captured */
export function invoiceOf(payment: Payment, refunds: readonly Refund[]): Invoice {
  const { id: paymentId, orderId, status, terms } = payment;
  if (status !== 'captured' || terms === undefined) throw invoiceNotPossible(status);
  const { userId, amount: total, items } = terms;
  // A copy of the service that is older than this column does not write it. Instead a time that never moves.
  const issuedAt = payment.capturedAt ?? payment.createdAt;
  const made = refunds.filter((refund) => refund.status === 'succeeded');
  return {
    number: numberOf(payment, issuedAt),
    issuedAt,
    paymentId,
    orderId,
    userId,
    lines: items.map((item) => ({
      ...item,
      lineTotal: { amount: item.unitPrice.amount * item.quantity, currency: item.unitPrice.currency },
    })),
    total,
    refunds: made,
    balance: { amount: refundable(total.amount, made), currency: total.currency },
  };
}
