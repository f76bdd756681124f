// The calls on /v1/payment_intents. Each answers from the ledger; the caller holds the transaction.
import type { z } from 'zod';
import { type Answer, invalid, missing, ok, refusal } from '../answer.ts';
import type { Deps } from '../deps.ts';
import {
  canCancel,
  canConfirm,
  cancel,
  confirm,
  isCard,
  newPaymentIntent,
  type PaymentIntent,
  startProcessing,
} from '../domain/payment-intent.ts';
import type {
  cancelPaymentIntentParameters,
  confirmPaymentIntentParameters,
  createPaymentIntentParameters,
} from '../http/parameters.ts';
import { newId, unixNow } from '../identity.ts';

/** Notes a charge and, where `confirm` is set, makes it. A decline answers 402 and leaves the intent behind. */
export function createPaymentIntent(command: z.output<typeof createPaymentIntentParameters>, deps: Deps): Answer {
  const card = command.payment_method;
  if (card !== undefined && !isCard(card)) return missing('payment method', card, 'payment_method', 400);
  if (command.confirm && card === undefined) return cardNeeded();
  const id = newId('pi');
  const created = newPaymentIntent(
    {
      id,
      clientSecret: `${id}_${newId('secret')}`,
      amount: command.amount,
      currency: command.currency,
      paymentMethod: card,
      automaticPaymentMethods: command.automatic_payment_methods ?? null,
      metadata: command.metadata,
      description: command.description,
    },
    unixNow(),
  );
  deps.ledger.addPaymentIntent(created);
  return command.confirm && card !== undefined ? charge(created, card, deps) : ok(created);
}

/** Makes the charge: 200 succeeded, 402 declined, 400 where it was made or given up before. */
export function confirmPaymentIntent(
  command: z.output<typeof confirmPaymentIntentParameters>,
  deps: Deps,
  id: string,
): Answer {
  const intent = deps.ledger.findPaymentIntent(id);
  if (intent === undefined) return missing('payment intent', id, 'intent');
  if (!canConfirm(intent)) return unexpectedState('confirmed', intent);
  const card = command.payment_method ?? intent.payment_method;
  if (card === null) return cardNeeded(intent);
  if (!isCard(card)) return missing('payment method', card, 'payment_method', 400);
  return charge(intent, card, deps);
}

/** Asks the bank; in the mood for it, the bank takes its time. */
function charge(intent: PaymentIntent, card: string, { ledger, rule }: Deps): Answer {
  const chargeId = newId('ch');
  if (rule?.mood === 'processing') {
    const processing = startProcessing(intent, card, chargeId);
    ledger.updatePaymentIntent(processing);
    ledger.addProcessing(intent.id, rule.id, rule.ms === undefined ? null : Date.now() + rule.ms);
    return ok(processing);
  }
  const confirmed = confirm(intent, card, chargeId);
  ledger.updatePaymentIntent(confirmed);
  return chargeAnswer(confirmed);
}

/**
 * Writes down what the bank has answered meanwhile: where it was to take a time that is over, or, without one, where the mood is
 * deleted, spent or was forgotten in a restart. Nobody can look at a charge but by a call, so it is enough to do this before each.
 */
export function settleProcessed({ ledger, moods }: Pick<Deps, 'ledger' | 'moods'>): void {
  for (const { intent, ruleId, until } of ledger.listProcessing()) {
    if (until === null ? moods.isInForce(ruleId) : Date.now() < until) continue;
    const { payment_method: card, latest_charge: chargeId } = intent;
    if (card === null || chargeId === null) throw new Error(`${intent.id} is processing without a card`);
    ledger.updatePaymentIntent(confirm(intent, card, chargeId));
    ledger.removeProcessing(intent.id);
  }
}

/** Gives a charge up that was not made: 200; 400 where it was made, or given up before. */
export function cancelPaymentIntent(
  command: z.output<typeof cancelPaymentIntentParameters>,
  { ledger }: Deps,
  id: string,
): Answer {
  const intent = ledger.findPaymentIntent(id);
  if (intent === undefined) return missing('payment intent', id, 'intent');
  if (!canCancel(intent)) return unexpectedState('canceled', intent);
  const canceled = cancel(intent, command.cancellation_reason, unixNow());
  ledger.updatePaymentIntent(canceled);
  return ok(canceled);
}

export function retrievePaymentIntent(_command: object, { ledger }: Deps, id: string): Answer {
  const intent = ledger.findPaymentIntent(id);
  return intent === undefined ? missing('payment intent', id, 'intent') : ok(intent);
}

/** The intent, or the card error that the bank's refusal is. */
function chargeAnswer(intent: PaymentIntent): Answer {
  const error = intent.last_payment_error;
  if (error === null) return ok(intent);
  const { charge, code, decline_code, message } = error;
  return refusal(402, {
    type: 'card_error',
    message: message ?? '',
    ...(code && { code }),
    ...(decline_code && { decline_code }),
    ...(charge && { charge }),
    payment_intent: intent,
  });
}

const unexpectedState = (wanted: string, intent: PaymentIntent): Answer =>
  invalid(`A payment intent that is ${intent.status} cannot be ${wanted}.`, {
    code: 'payment_intent_unexpected_state',
    payment_intent: intent,
  });

const cardNeeded = (intent?: PaymentIntent): Answer =>
  invalid('To confirm, the payment intent needs a payment method.', {
    code: intent === undefined ? 'parameter_missing' : 'payment_intent_unexpected_state',
    param: 'payment_method',
    ...(intent && { payment_intent: intent }),
  });
