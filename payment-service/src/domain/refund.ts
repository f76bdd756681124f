// A refund: due until the provider has made or refused it.
import { type DomainEvent, type Money, paymentRefunded, paymentRefundFailed } from '@glasshouse/shared/contracts';
import { notCaptured, otherCurrency, tooMuch } from './errors.ts';
import type { Payment } from './payment.ts';

export type RefundCause = 'cancel' | 'admin';

export const refundStatuses = ['due', 'succeeded', 'failed'] as const;

export interface Refund {
  id: string;
  paymentId: string;
  amount: Money;
  reason: string;
  cause: RefundCause;
  status: (typeof refundStatuses)[number];
  createdAt: Date;
  /** When it was made or refused. */
  settledAt?: Date | undefined;
}

/** What can still be given back: captured − succeeded − due, in minor units. */
export function refundable(captured: number, refunds: readonly Pick<Refund, 'amount' | 'status'>[]): number {
  return refunds.reduce((left, refund) => (refund.status === 'failed' ? left : left - refund.amount.amount), captured);
}

/**
 * What an admin's refund comes to.
 * @param wanted in minor units of the payment's currency, where none is named; all that is left, where not given
 * @throws AppError where nothing was captured, or less than that is left
 */
export function amountToRefund(
  payment: Payment,
  refunds: readonly Pick<Refund, 'amount' | 'status'>[],
  wanted?: Money | number,
): Money {
  if (payment.status !== 'captured' || payment.terms === undefined) throw notCaptured(payment.status);
  const { amount: captured, currency } = payment.terms.amount;
  if (typeof wanted === 'object' && wanted.currency !== currency) throw otherCurrency(currency);
  const left = refundable(captured, refunds);
  const amount = (typeof wanted === 'object' ? wanted.amount : wanted) ?? left;
  if (left === 0 || amount > left) throw tooMuch(left);
  return { amount, currency };
}

/** The fact that a refund was made or refused. */
export function refundEvent(
  refund: Refund,
  payment: { orderId: string; userId: string },
  succeeded: boolean,
): DomainEvent {
  const { id: refundId, paymentId, amount, cause } = refund;
  const data = { ...payment, paymentId, refundId, amount, cause };
  return succeeded ? paymentRefunded.of(data) : paymentRefundFailed.of(data);
}
