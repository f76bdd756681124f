// The calls on /v1/refunds. Each answers from the ledger; the caller holds the transaction.
import type { z } from 'zod';
import { type Answer, invalid, missing, ok } from '../answer.ts';
import type { Deps } from '../deps.ts';
import { newRefund } from '../domain/refund.ts';
import type { createRefundParameters, listRefundsParameters } from '../http/parameters.ts';
import { newId, unixNow } from '../identity.ts';

/** Gives back `amount`, or all that is left, of a succeeded charge; never more than is left. */
export function createRefund(command: z.output<typeof createRefundParameters>, { ledger, rule }: Deps): Answer {
  const intent = ledger.findPaymentIntent(command.payment_intent);
  if (intent === undefined) return missing('payment intent', command.payment_intent, 'payment_intent');
  if (intent.status !== 'succeeded') {
    return invalid(`Payment intent ${intent.id} is ${intent.status}: there is no successful charge to refund.`, {
      code: 'payment_intent_unexpected_state',
      param: 'payment_intent',
    });
  }
  const left = intent.amount_received - ledger.refundedAmount(intent.id);
  if (left === 0) {
    return invalid(`Charge ${intent.latest_charge} has been refunded in full.`, { code: 'charge_already_refunded' });
  }
  const amount = command.amount ?? left;
  if (amount > left) {
    return invalid(`The refund of ${amount} is more than the ${left} that is left of the charge, in minor units.`, {
      code: 'amount_too_large',
      param: 'amount',
    });
  }
  const { metadata, reason } = command;
  const status = rule?.mood === 'refund-failing' ? 'failed' : 'succeeded';
  const refund = newRefund(intent, { id: newId('re'), amount, reason, metadata, status }, unixNow());
  ledger.addRefund(refund);
  return ok(refund);
}

export function retrieveRefund(_command: object, { ledger }: Deps, id: string): Answer {
  const refund = ledger.findRefund(id);
  return refund === undefined ? missing('refund', id, 'refund') : ok(refund);
}

/** Newest first, paged by the id of the last refund seen (https://docs.stripe.com/api/pagination). */
export function listRefunds(command: z.output<typeof listRefundsParameters>, { ledger }: Deps): Answer {
  const { limit, payment_intent: paymentIntentId, starting_after: after } = command;
  if (paymentIntentId !== undefined && ledger.findPaymentIntent(paymentIntentId) === undefined) {
    return missing('payment intent', paymentIntentId, 'payment_intent');
  }
  if (after !== undefined && ledger.findRefund(after) === undefined) return missing('refund', after, 'starting_after');
  const found = ledger.listRefunds(paymentIntentId, after, limit + 1);
  return ok({ object: 'list', url: '/v1/refunds', has_more: found.length > limit, data: found.slice(0, limit) });
}
