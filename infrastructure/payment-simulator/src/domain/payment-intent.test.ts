// Which state leads to which.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { canCancel, canConfirm, cancel, confirm, isCard, newPaymentIntent } from './payment-intent.ts';

const open = newPaymentIntent(
  {
    id: 'pi_1',
    clientSecret: 'pi_1_secret_1',
    amount: 1999,
    currency: 'usd',
    paymentMethod: 'pm_card_visa',
    automaticPaymentMethods: null,
    metadata: {},
    description: undefined,
  },
  1_700_000_000,
);

it('confirm: with a good card, takes the whole amount once and for all', () => {
  const paid = confirm(open, 'pm_card_visa', 'ch_1');
  assert.equal(paid.status, 'succeeded');
  assert.equal(paid.amount_received, 1999);
  assert.equal(canConfirm(paid), false);
  assert.equal(canCancel(paid), false);
});

it('confirm: with a bad card, takes nothing and forgets the card', () => {
  const declined = confirm(open, 'pm_card_chargeDeclinedInsufficientFunds', 'ch_1');
  assert.equal(declined.status, 'requires_payment_method');
  assert.equal(declined.amount_received, 0);
  assert.equal(declined.payment_method, null);
  assert.equal(declined.last_payment_error?.decline_code, 'insufficient_funds');
  assert.equal(canConfirm(declined), true);
  assert.equal(canCancel(declined), true);
});

it('cancel: can neither be charged nor canceled after', () => {
  const canceled = cancel(open, 'abandoned', 1_700_000_001);
  assert.equal(canceled.status, 'canceled');
  assert.equal(canceled.canceled_at, 1_700_000_001);
  assert.equal(canConfirm(canceled), false);
  assert.equal(canCancel(canceled), false);
});

it('isCard: knows the test cards and nothing that an object merely inherits', () => {
  assert.equal(isCard('pm_card_chargeDeclined'), true);
  assert.equal(isCard('pm_card_mastercard'), false);
  assert.equal(isCard('toString'), false);
});
