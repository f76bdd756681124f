// Money given back, in Stripe's shape.
import type Stripe from 'stripe';
import type { PaymentIntent } from './payment-intent.ts';

export type RefundReason = 'duplicate' | 'fraudulent' | 'requested_by_customer';

/** The part of Stripe's Refund that is simulated, in Stripe's own names. Amounts in minor units, times in Unix seconds. */
export type Refund = Pick<
  Stripe.Refund,
  | 'id'
  | 'object'
  | 'amount'
  | 'balance_transaction'
  | 'created'
  | 'currency'
  | 'failure_reason'
  | 'metadata'
  | 'reason'
  | 'receipt_number'
  | 'source_transfer_reversal'
  | 'transfer_reversal'
> & { charge: string | null; payment_intent: string; status: 'succeeded' | 'failed' };

export type NewRefund = {
  readonly id: string;
  readonly amount: number;
  readonly reason: RefundReason | undefined;
  readonly metadata: Record<string, string>;
  /** `failed`: the customer's bank does not take the money back. */
  readonly status: Refund['status'];
};

/** A refund of part or all of a succeeded charge that is decided at once. */
export function newRefund(intent: PaymentIntent, command: NewRefund, now: number): Refund {
  return {
    id: command.id,
    object: 'refund',
    amount: command.amount,
    balance_transaction: null,
    charge: intent.latest_charge,
    created: now,
    currency: intent.currency,
    ...(command.status === 'failed' && { failure_reason: 'declined' }),
    metadata: command.metadata,
    payment_intent: intent.id,
    reason: command.reason ?? null,
    receipt_number: null,
    source_transfer_reversal: null,
    status: command.status,
    transfer_reversal: null,
  };
}
