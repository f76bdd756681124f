// Charges through the real SDK: every call, every card, every state.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import Stripe from 'stripe';
import { apiKey, post, type RunningSimulator, startSimulator, stripeClient } from './support.ts';

const charge = { amount: 1999, currency: 'usd', payment_method: 'pm_card_visa', payment_method_types: ['card'] };

describe('payment intents', () => {
  let simulator: RunningSimulator;
  let stripe: Stripe;
  before(async () => {
    simulator = await startSimulator();
    stripe = simulator.stripe;
  });
  after(() => simulator.stop());

  it('create: with a card, waits for its confirmation', async () => {
    const metadata = { orderId: 'an order', 'a key & more': 'ünïcode = ok' };
    const intent = await stripe.paymentIntents.create({ ...charge, metadata, description: 'Order 7' });
    assert.match(intent.id, /^pi_\w+$/);
    assert.equal(intent.object, 'payment_intent');
    assert.equal(intent.status, 'requires_confirmation');
    assert.equal(intent.amount, 1999);
    assert.equal(intent.amount_received, 0);
    assert.equal(intent.currency, 'usd');
    assert.deepEqual(intent.metadata, metadata);
    assert.equal(intent.description, 'Order 7');
    assert.equal(intent.latest_charge, null);
    assert.equal(intent.livemode, false);
    assert.match(intent.lastResponse.requestId, /^req_\w+$/);
    assert.deepEqual(await stripe.paymentIntents.retrieve(intent.id), intent);
  });

  it('create: without a card, waits for one', async () => {
    const intent = await stripe.paymentIntents.create({ amount: 1, currency: 'EUR' });
    assert.equal(intent.status, 'requires_payment_method');
    assert.equal(intent.currency, 'eur');
    await assert.rejects(stripe.paymentIntents.confirm(intent.id), {
      statusCode: 400,
      code: 'payment_intent_unexpected_state',
    });
    const confirmed = await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa' });
    assert.equal(confirmed.status, 'succeeded');
  });

  it('create: with confirm, charges at once', async () => {
    const intent = await stripe.paymentIntents.create({
      amount: 500,
      currency: 'usd',
      payment_method: 'pm_card_visa',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      confirm: true,
    });
    assert.equal(intent.status, 'succeeded');
    assert.equal(intent.amount_received, 500);
    assert.match(String(intent.latest_charge), /^ch_/);
    assert.deepEqual(intent.automatic_payment_methods, { enabled: true, allow_redirects: 'never' });
  });

  it('create: with confirm and no card, charges nothing', async () => {
    await assert.rejects(stripe.paymentIntents.create({ amount: 500, currency: 'usd', confirm: true }), {
      statusCode: 400,
      code: 'parameter_missing',
      param: 'payment_method',
    });
  });

  it('confirm: with pm_card_visa, succeeds', async () => {
    const { id } = await stripe.paymentIntents.create(charge);
    const confirmed = await stripe.paymentIntents.confirm(id);
    assert.equal(confirmed.status, 'succeeded');
    assert.equal(confirmed.amount_received, 1999);
    assert.equal(confirmed.payment_method, 'pm_card_visa');
    assert.equal(confirmed.last_payment_error, null);
  });

  for (const [card, declineCode] of [
    ['pm_card_chargeDeclined', 'generic_decline'],
    ['pm_card_chargeDeclinedInsufficientFunds', 'insufficient_funds'],
  ] as const) {
    it(`confirm: with ${card}, is declined and stays open for another card`, async () => {
      const { id } = await stripe.paymentIntents.create({ ...charge, payment_method: card });
      await assert.rejects(stripe.paymentIntents.confirm(id), (error) => {
        assert.ok(error instanceof Stripe.errors.StripeCardError);
        assert.equal(error.statusCode, 402);
        assert.equal(error.code, 'card_declined');
        assert.equal(error.decline_code, declineCode);
        assert.match(String(error.charge), /^ch_/);
        assert.equal(error.payment_intent?.id, id);
        assert.equal(error.payment_intent?.status, 'requires_payment_method');
        return true;
      });
      const declined = await stripe.paymentIntents.retrieve(id);
      assert.equal(declined.status, 'requires_payment_method');
      assert.equal(declined.payment_method, null);
      assert.equal(declined.amount_received, 0);
      assert.equal(declined.last_payment_error?.code, 'card_declined');
      assert.equal(declined.last_payment_error?.decline_code, declineCode);

      const second = await stripe.paymentIntents.confirm(id, { payment_method: 'pm_card_visa' });
      assert.equal(second.status, 'succeeded');
      assert.equal(second.last_payment_error, null);
    });
  }

  it('create: with confirm and a card that is declined, leaves the intent behind', async () => {
    let id = '';
    const create = stripe.paymentIntents.create({ ...charge, payment_method: 'pm_card_chargeDeclined', confirm: true });
    await assert.rejects(create, (error) => {
      assert.ok(error instanceof Stripe.errors.StripeCardError);
      id = String(error.payment_intent?.id);
      return true;
    });
    const left = await stripe.paymentIntents.retrieve(id);
    assert.equal(left.status, 'requires_payment_method');
  });

  it('create, confirm: with an unknown card, are refused', async () => {
    const refused = { statusCode: 400, code: 'resource_missing', param: 'payment_method' };
    await assert.rejects(stripe.paymentIntents.create({ ...charge, payment_method: 'pm_card_none' }), refused);
    // Also what every object has must not be taken for a card.
    await assert.rejects(stripe.paymentIntents.create({ ...charge, payment_method: 'toString' }), refused);
    const { id } = await stripe.paymentIntents.create({ amount: 1, currency: 'usd' });
    await assert.rejects(stripe.paymentIntents.confirm(id, { payment_method: 'pm_card_none' }), refused);
  });

  it('cancel: before the charge, gives it up for good', async () => {
    const { id } = await stripe.paymentIntents.create(charge);
    const canceled = await stripe.paymentIntents.cancel(id, { cancellation_reason: 'requested_by_customer' });
    assert.equal(canceled.status, 'canceled');
    assert.equal(canceled.cancellation_reason, 'requested_by_customer');
    assert.ok(Math.abs(Number(canceled.canceled_at) - Date.now() / 1000) < 60);
    const refused = { statusCode: 400, code: 'payment_intent_unexpected_state' };
    await assert.rejects(stripe.paymentIntents.confirm(id), refused);
    await assert.rejects(stripe.paymentIntents.cancel(id), refused);
  });

  it('cancel: after a decline, gives it up', async () => {
    const { id } = await stripe.paymentIntents.create({ ...charge, payment_method: 'pm_card_chargeDeclined' });
    await assert.rejects(stripe.paymentIntents.confirm(id), { code: 'card_declined' });
    assert.equal((await stripe.paymentIntents.cancel(id)).status, 'canceled');
  });

  it('confirm, cancel: after the charge, are refused and change nothing', async () => {
    const { id } = await stripe.paymentIntents.create({ ...charge, confirm: true });
    for (const call of [stripe.paymentIntents.confirm(id), stripe.paymentIntents.cancel(id)]) {
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError);
        assert.equal(error.statusCode, 400);
        assert.equal(error.code, 'payment_intent_unexpected_state');
        assert.equal(error.payment_intent?.status, 'succeeded');
        return true;
      });
    }
    assert.equal((await stripe.paymentIntents.retrieve(id)).status, 'succeeded');
  });

  it('retrieve, confirm, cancel: of an unknown intent, are a 404', async () => {
    const missing = { statusCode: 404, code: 'resource_missing' };
    await assert.rejects(stripe.paymentIntents.retrieve('pi_none'), missing);
    await assert.rejects(stripe.paymentIntents.confirm('pi_none'), missing);
    await assert.rejects(stripe.paymentIntents.cancel('pi_none'), missing);
  });

  for (const [what, body, expected] of [
    ['no amount', 'currency=usd', { code: 'parameter_missing', param: 'amount' }],
    ['an empty amount', 'amount=&currency=usd', { code: 'parameter_invalid_empty', param: 'amount' }],
    ['a broken amount', 'amount=19.99&currency=usd', { code: 'parameter_invalid_integer', param: 'amount' }],
    ['an amount of nothing', 'amount=0&currency=usd', { code: 'parameter_invalid_integer', param: 'amount' }],
    ['a negative amount', 'amount=-5&currency=usd', { code: 'parameter_invalid_integer', param: 'amount' }],
    ['two amounts', 'amount=1&amount=2&currency=usd', { code: 'parameter_invalid_integer', param: 'amount' }],
    ['no currency', 'amount=1', { code: 'parameter_missing', param: 'currency' }],
    ['an unknown currency', 'amount=1&currency=zzz', { param: 'currency' }],
    ['an unknown parameter', 'amount=1&currency=usd&tip=1', { code: 'parameter_unknown', param: 'tip' }],
    ['nested metadata', 'amount=1&currency=usd&metadata[a][b]=1', { param: 'metadata[a]' }],
    [
      'another payment method type',
      'amount=1&currency=usd&payment_method_types[]=ideal',
      { param: 'payment_method_types[0]' },
    ],
  ] as const) {
    it(`create: with ${what}, is refused by name`, async () => {
      const response = await post(`${simulator.url}/v1/payment_intents`, body);
      assert.equal(response.status, 400);
      const { error } = (await response.json()) as { error: Record<string, unknown> };
      const { type, code, param } = error;
      assert.deepEqual({ type, code, param }, { type: 'invalid_request_error', code: undefined, ...expected });
    });
  }

  it('every call: without the key, is a 401', async () => {
    const stranger = stripeClient(simulator.url, 'sk_test_other');
    await assert.rejects(stranger.paymentIntents.create(charge), {
      type: 'StripeAuthenticationError',
      statusCode: 401,
    });
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
    const statusFor = async (headers: Record<string, string>) =>
      (await fetch(`${simulator.url}/v1/refunds`, { headers })).status;
    assert.equal(await statusFor({}), 401);
    assert.equal(await statusFor({ authorization: 'Bearer ' }), 401);
    assert.equal(await statusFor({ authorization: apiKey }), 401);
    assert.equal(await statusFor(basic(':')), 401);
    assert.equal(await statusFor(basic(`${apiKey}:`)), 200);
    assert.equal(await statusFor(basic(`:${apiKey}`)), 200);
  });

  it('every call: elsewhere, of another type or too long, is refused in the shape of an error', async () => {
    const url = `${simulator.url}/v1/payment_intents`;
    for (const [response, status] of [
      [await post(`${simulator.url}/v1/customers`, ''), 404],
      [await post(`${url}/pi_1/confirm/more`, ''), 404],
      [await fetch(url, { headers: { authorization: `Bearer ${apiKey}` } }), 404],
      [await post(url, '{"amount":1}', { 'content-type': 'application/json' }), 415],
      [await post(url, `amount=1&description=${'x'.repeat(100_001)}`), 413],
    ] as const) {
      assert.equal(response.status, status);
      assert.match(String(response.headers.get('request-id')), /^req_/);
      const { error } = (await response.json()) as { error: { type: string } };
      assert.equal(error.type, 'invalid_request_error');
    }
  });

  it('health, ready: answer without a key', async () => {
    assert.equal((await fetch(`${simulator.url}/health`)).status, 200);
    assert.equal((await fetch(`${simulator.url}/ready`)).status, 200);
  });
});
