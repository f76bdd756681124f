// What a call answers before it is written out, and the refusals in Stripe's error shape (https://docs.stripe.com/api/errors).
import type { PaymentIntent } from './domain/payment-intent.ts';

export type Answer = { readonly status: number; readonly body: object };

export type StripeError = {
  readonly type: 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error';
  readonly message: string;
  readonly code?: string;
  readonly decline_code?: string;
  readonly param?: string;
  readonly charge?: string;
  readonly payment_intent?: PaymentIntent;
};

export const ok = (body: object): Answer => ({ status: 200, body });

export const refusal = (status: number, error: StripeError): Answer => ({ status, body: { error } });

/** A request that cannot be carried out: 400 unless told otherwise. */
export const invalid = (message: string, rest: Omit<StripeError, 'type' | 'message'> = {}, status = 400): Answer =>
  refusal(status, { type: 'invalid_request_error', message, ...rest });

/** Something named does not exist: 404, or 400 where Stripe says so. */
export const missing = (what: string, id: string, param: string, status = 404): Answer =>
  invalid(`There is no ${what} '${id}'.`, { code: 'resource_missing', param }, status);

/** Our own fault. */
export const serverError = (message = 'The simulator failed. See its log.'): Answer =>
  refusal(500, { type: 'api_error', message });
