// The life of a charge, as Stripe tells it (https://docs.stripe.com/payments/paymentintents/lifecycle): pure, no I/O.
import type Stripe from 'stripe';

/** The part of Stripe's PaymentIntent that is simulated, in Stripe's own names. Amounts in minor units, times in Unix seconds. */
export type PaymentIntent = Pick<
  Stripe.PaymentIntent,
  | 'id'
  | 'object'
  | 'amount'
  | 'amount_capturable'
  | 'amount_received'
  | 'automatic_payment_methods'
  | 'canceled_at'
  | 'cancellation_reason'
  | 'capture_method'
  | 'client_secret'
  | 'confirmation_method'
  | 'created'
  | 'currency'
  | 'customer'
  | 'description'
  | 'last_payment_error'
  | 'livemode'
  | 'metadata'
  | 'next_action'
  | 'payment_method_types'
  | 'processing'
  | 'receipt_email'
  | 'status'
> & { payment_method: string | null; latest_charge: string | null };

export type CancellationReason = 'abandoned' | 'duplicate' | 'fraudulent' | 'requested_by_customer';

/** Why a bank said no, in Stripe's words (https://docs.stripe.com/declines/codes). */
export type Decline = { readonly declineCode: string; readonly message: string };

/** The test cards (https://docs.stripe.com/testing): what the bank answers, `approved` or why not. */
const cards: Readonly<Record<string, 'approved' | Decline>> = {
  pm_card_visa: 'approved',
  pm_card_chargeDeclined: { declineCode: 'generic_decline', message: 'The bank declined the card.' },
  pm_card_chargeDeclinedInsufficientFunds: {
    declineCode: 'insufficient_funds',
    message: 'The card has insufficient funds.',
  },
};

export const isCard = (paymentMethod: string): boolean => Object.hasOwn(cards, paymentMethod);

export type NewPaymentIntent = {
  readonly id: string;
  readonly clientSecret: string;
  readonly amount: number;
  readonly currency: string;
  readonly paymentMethod: string | undefined;
  readonly automaticPaymentMethods: PaymentIntent['automatic_payment_methods'];
  readonly metadata: Record<string, string>;
  readonly description: string | undefined;
};

/** A charge that is noted and not yet made. */
export function newPaymentIntent(command: NewPaymentIntent, now: number): PaymentIntent {
  return {
    id: command.id,
    object: 'payment_intent',
    amount: command.amount,
    amount_capturable: 0,
    amount_received: 0,
    automatic_payment_methods: command.automaticPaymentMethods,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: 'automatic',
    client_secret: command.clientSecret,
    confirmation_method: 'automatic',
    created: now,
    currency: command.currency,
    customer: null,
    description: command.description ?? null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    metadata: command.metadata,
    next_action: null,
    payment_method: command.paymentMethod ?? null,
    payment_method_types: ['card'],
    processing: null,
    receipt_email: null,
    status: command.paymentMethod === undefined ? 'requires_payment_method' : 'requires_confirmation',
  };
}

export const canConfirm = (intent: PaymentIntent): boolean =>
  intent.status === 'requires_confirmation' || intent.status === 'requires_payment_method';

/** The bank has been asked and has not answered: nothing but its answer, by `confirm`, leads on from here. */
export function startProcessing(intent: PaymentIntent, card: string, chargeId: string): PaymentIntent {
  return {
    ...intent,
    status: 'processing',
    last_payment_error: null,
    latest_charge: chargeId,
    payment_method: card,
  };
}

/** What the bank answers. A declined card leaves the intent open for another one, and says why in `last_payment_error`. */
export function confirm(intent: PaymentIntent, card: string, chargeId: string): PaymentIntent {
  const verdict = cards[card];
  if (verdict === undefined) throw new Error(`${card} is not a test card`);
  if (verdict === 'approved') {
    return {
      ...intent,
      status: 'succeeded',
      amount_received: intent.amount,
      last_payment_error: null,
      latest_charge: chargeId,
      payment_method: card,
    };
  }
  return {
    ...intent,
    status: 'requires_payment_method',
    last_payment_error: {
      type: 'card_error',
      code: 'card_declined',
      decline_code: verdict.declineCode,
      message: verdict.message,
      charge: chargeId,
    },
    latest_charge: chargeId,
    payment_method: null,
  };
}

export const canCancel = (intent: PaymentIntent): boolean =>
  intent.status === 'requires_confirmation' || intent.status === 'requires_payment_method';

/** Gives the charge up for good. */
export function cancel(intent: PaymentIntent, reason: CancellationReason | undefined, now: number): PaymentIntent {
  return { ...intent, status: 'canceled', canceled_at: now, cancellation_reason: reason ?? null };
}
