// A refund: due until the provider has made or refused it.
import { type DomainEvent, type Money, paymentRefunded, paymentRefundFailed } from '@glasshouse/shared/contracts';

export type RefundCause = 'cancel' | 'admin';

export interface Refund {
  id: string;
  paymentId: string;
  amount: Money;
  reason: string;
  cause: RefundCause;
  status: 'due' | 'succeeded' | 'failed';
  createdAt: Date;
}

/** What can still be given back: captured − succeeded − due, in minor units. */
export function refundable(captured: number, refunds: readonly Pick<Refund, 'amount' | 'status'>[]): number {
  return refunds.reduce((left, refund) => (refund.status === 'failed' ? left : left - refund.amount.amount), captured);
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
