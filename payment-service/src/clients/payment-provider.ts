// The payment provider, through Stripe's own SDK and a breaker. What it answers is told in our words; what fails says how to try again.

import type { Money } from '@glasshouse/shared/contracts';
import { createBreaker, isBreakerOpen, observeHttpCall } from '@glasshouse/shared/resilience';
import Stripe from 'stripe';

/** What a PaymentIntent has come to: https://docs.stripe.com/payments/paymentintents/lifecycle */
export type IntentState =
  | { kind: 'succeeded' }
  | { kind: 'declined'; code: string; message: string }
  | { kind: 'cancelled' }
  /** Created, not confirmed: no money moves unless somebody confirms it. */
  | { kind: 'unconfirmed' }
  /** The provider has not decided yet. */
  | { kind: 'processing' };

export type RefundState = 'succeeded' | 'failed' | 'pending';

export interface PaymentProvider {
  /** Creates an intent without confirming it; the same key always gives the same intent. Returns its id. */
  createIntent(input: {
    paymentId: string;
    orderId: string;
    amount: Money;
    paymentMethod: string;
    key: string;
  }): Promise<string>;
  confirmIntent(intentId: string): Promise<IntentState>;
  retrieveIntent(intentId: string): Promise<IntentState>;
  cancelIntent(intentId: string): Promise<IntentState>;
  /** The refund with our id, if the provider has it. */
  findRefund(intentId: string, refundId: string): Promise<RefundState | undefined>;
  /** @throws ProviderError `final` where it will never be made */
  createRefund(input: {
    intentId: string;
    refundId: string;
    orderId: string;
    amount: number;
    key: string;
  }): Promise<RefundState>;
  /** Whether a call would be made at all: not while the provider is known to be down. */
  takesCalls(): boolean;
  stop(): void;
}

/**
 * - `no-answer`: nothing was decided, or nobody knows whether it was done; ask again with the same key.
 * - `server-error`: answered with a 5xx that the provider stores under the key; the next try needs another one.
 * - `final`: it will never be made, whatever one tries.
 * - `refused`: any other 4xx, which the provider may store as well. Not a decline: somebody has to look at it.
 * - `not-called`: the breaker is open.
 */
export type ProviderFault = 'no-answer' | 'server-error' | 'final' | 'refused' | 'not-called';

export class ProviderError extends Error {
  override name = 'ProviderError';
  readonly fault: ProviderFault;
  /** Whether the call was made under an idempotency key. */
  readonly hadKey: boolean;
  /** Whether the answer is one that the provider has stored under the key: whatever else comes with this key gets it, too. */
  readonly isReplay: boolean;

  constructor(fault: ProviderFault, cause: unknown, hadKey = false) {
    super(`the payment provider: ${fault}`, { cause });
    this.fault = fault;
    this.hadKey = hadKey;
    this.isReplay = isReplay(cause);
  }
}

const isReplay = (error: unknown) =>
  error instanceof Stripe.errors.StripeError && error.headers?.['idempotent-replayed'] === 'true';

/** What stands before a server says these as well: then it has not seen the call, and has stored nothing. */
const gatewayErrors = [502, 503, 504];

/** Refusals of a refund that no later try can change: https://docs.stripe.com/error-codes */
const finalCodes = new Set([
  'charge_already_refunded',
  'charge_disputed',
  'refund_disputed_payment',
  'amount_too_large',
]);

function faultOf(error: unknown): ProviderFault {
  if (isBreakerOpen(error)) return 'not-called';
  if (!(error instanceof Stripe.errors.StripeError)) return 'no-answer';
  const status = error.statusCode ?? 0;
  if (gatewayErrors.includes(status) && !isReplay(error)) return 'no-answer';
  if (status >= 500) return 'server-error';
  // No status, our API key is wrong or may not do this, the idempotency key is in use at this moment, too many requests: nothing was decided.
  if ([0, 401, 403, 409, 429].includes(status)) return 'no-answer';
  return finalCodes.has(error.code ?? '') ? 'final' : 'refused';
}

const refundStates: Record<string, RefundState> = { succeeded: 'succeeded', failed: 'failed', canceled: 'failed' };

function stateOf(intent: Stripe.PaymentIntent): IntentState {
  switch (intent.status) {
    case 'succeeded':
      return { kind: 'succeeded' };
    case 'canceled':
      return { kind: 'cancelled' };
    case 'requires_confirmation':
      return { kind: 'unconfirmed' };
    case 'requires_payment_method': {
      const error = intent.last_payment_error;
      if (error === null || error === undefined) return { kind: 'unconfirmed' };
      return {
        kind: 'declined',
        code: error.decline_code ?? error.code ?? 'card_declined',
        message: error.message ?? 'The card was declined.',
      };
    }
    case 'processing':
      return { kind: 'processing' };
    // It waits for something that nobody will do here: a customer's action, a capture.
    default:
      return { kind: 'unconfirmed' };
  }
}

/** @param timeoutMs for one call, from the connection to the last byte of the answer */
export function createPaymentProvider(options: { apiKey: string; apiUrl: string; timeoutMs: number }): PaymentProvider {
  const { hostname, port, protocol } = new URL(options.apiUrl);
  const isPlain = protocol === 'http:';
  const stripe = new Stripe(options.apiKey, {
    host: hostname,
    port: port === '' ? (isPlain ? 80 : 443) : Number(port),
    protocol: isPlain ? 'http' : 'https',
    timeout: options.timeoutMs,
    maxNetworkRetries: 0,
    telemetry: false,
  });
  const breaker = createBreaker('payment provider', <T>(call: () => Promise<T>): Promise<T> => call(), {
    // The SDK's own time-out is for silence on a connection that was made: one that is never made, or an answer without an end, would keep a
    // worker for minutes, and the breaker half open as long.
    timeoutMs: options.timeoutMs,
    countsAsFailure: (error) => ['no-answer', 'server-error'].includes(faultOf(error)),
  });
  /** @param call as `POST /v1/refunds`, for those who watch */
  const ask = async <T>(name: string, call: () => Promise<T>, hadKey = false): Promise<T> => {
    const [method = '', template] = name.split(' ');
    try {
      // As long as the breaker waits, and no longer.
      return (await observeHttpCall(method, options.apiUrl, () => breaker.fire(call), template)) as T;
    } catch (error) {
      throw new ProviderError(faultOf(error), error, hadKey);
    }
  };
  const retrieve = async (intentId: string) =>
    stateOf(await ask('GET /v1/payment_intents/{id}', () => stripe.paymentIntents.retrieve(intentId)));

  /** Confirming or cancelling what is not in the state for it any more is refused; its present state is the answer then. */
  const orAsItIs = async (
    intentId: string,
    name: string,
    call: () => Promise<Stripe.PaymentIntent>,
  ): Promise<IntentState> => {
    try {
      return stateOf(await ask(name, call));
    } catch (error) {
      const cause = error instanceof ProviderError ? error.cause : undefined;
      if (cause instanceof Stripe.errors.StripeCardError)
        return { kind: 'declined', code: cause.decline_code ?? cause.code ?? 'card_declined', message: cause.message };
      if (cause instanceof Stripe.errors.StripeInvalidRequestError && cause.code === 'payment_intent_unexpected_state')
        return retrieve(intentId);
      throw error;
    }
  };

  return {
    async createIntent({ paymentId, orderId, amount, paymentMethod, key }) {
      const intent = await ask(
        'POST /v1/payment_intents',
        () =>
          stripe.paymentIntents.create(
            {
              amount: amount.amount,
              currency: amount.currency.toLowerCase(),
              payment_method: paymentMethod,
              automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
              metadata: { paymentId, orderId },
            },
            { idempotencyKey: key },
          ),
        true,
      );
      return intent.id;
    },
    confirmIntent: (intentId) =>
      orAsItIs(intentId, 'POST /v1/payment_intents/{id}/confirm', () => stripe.paymentIntents.confirm(intentId)),
    retrieveIntent: retrieve,
    cancelIntent: (intentId) =>
      orAsItIs(intentId, 'POST /v1/payment_intents/{id}/cancel', () => stripe.paymentIntents.cancel(intentId)),
    async findRefund(intentId, refundId) {
      const refunds = await ask('GET /v1/refunds', () => stripe.refunds.list({ payment_intent: intentId, limit: 100 }));
      const found = refunds.data.find((refund) => refund.metadata?.refundId === refundId);
      return found && (refundStates[found.status ?? ''] ?? 'pending');
    },
    async createRefund({ intentId, refundId, orderId, amount, key }) {
      const refund = await ask(
        'POST /v1/refunds',
        () =>
          stripe.refunds.create(
            { payment_intent: intentId, amount, metadata: { refundId, orderId } },
            { idempotencyKey: key },
          ),
        true,
      );
      return refundStates[refund.status ?? ''] ?? 'pending';
    },
    // Half open it lets one call through, and no other before that one has been answered.
    takesCalls: () => breaker.closed || breaker.pendingClose,
    stop: () => breaker.shutdown(),
  };
}
