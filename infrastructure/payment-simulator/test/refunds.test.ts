// Refunds through the real SDK: full, partial, too much, and finding them again.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type Stripe from 'stripe';
import { type RunningSimulator, startSimulator } from './support.ts';

describe('refunds', () => {
  let simulator: RunningSimulator;
  let stripe: Stripe;
  before(async () => {
    simulator = await startSimulator();
    stripe = simulator.stripe;
  });
  after(() => simulator.stop());

  const succeeded = (amount: number) =>
    stripe.paymentIntents.create({ amount, currency: 'usd', payment_method: 'pm_card_visa', confirm: true });

  it('create: without an amount, gives all back', async () => {
    const intent = await succeeded(1999);
    const metadata = { refundId: 'a refund' };
    const refund = await stripe.refunds.create({
      payment_intent: intent.id,
      metadata,
      reason: 'requested_by_customer',
    });
    assert.match(refund.id, /^re_/);
    assert.equal(refund.object, 'refund');
    assert.equal(refund.status, 'succeeded');
    assert.equal(refund.amount, 1999);
    assert.equal(refund.currency, 'usd');
    assert.equal(refund.payment_intent, intent.id);
    assert.equal(refund.charge, intent.latest_charge);
    assert.equal(refund.reason, 'requested_by_customer');
    assert.deepEqual(refund.metadata, metadata);
    assert.deepEqual(await stripe.refunds.retrieve(refund.id), refund);
  });

  it('create: in parts, gives back until nothing is left', async () => {
    const { id: payment_intent } = await succeeded(1000);
    await stripe.refunds.create({ payment_intent, amount: 300 });
    await assert.rejects(stripe.refunds.create({ payment_intent, amount: 701 }), {
      type: 'StripeInvalidRequestError',
      statusCode: 400,
      code: 'amount_too_large',
      param: 'amount',
    });
    const rest = await stripe.refunds.create({ payment_intent });
    assert.equal(rest.amount, 700);
    await assert.rejects(stripe.refunds.create({ payment_intent, amount: 1 }), {
      type: 'StripeInvalidRequestError',
      statusCode: 400,
      code: 'charge_already_refunded',
    });
    // The intent itself stays succeeded: refunds are told apart from it.
    assert.equal((await stripe.paymentIntents.retrieve(payment_intent)).status, 'succeeded');
  });

  it('create: many at once, never gives back more than the charge', async () => {
    const { id: payment_intent } = await succeeded(1000);
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, () => stripe.refunds.create({ payment_intent, amount: 300 })),
    );
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 3);
    const { data } = await stripe.refunds.list({ payment_intent });
    assert.equal(
      data.reduce((sum, { amount }) => sum + amount, 0),
      900,
    );
  });

  it('create: of a charge that was not made, is refused', async () => {
    const { id } = await stripe.paymentIntents.create({ amount: 5, currency: 'usd', payment_method: 'pm_card_visa' });
    const refused = { statusCode: 400, code: 'payment_intent_unexpected_state' };
    await assert.rejects(stripe.refunds.create({ payment_intent: id }), refused);
    await stripe.paymentIntents.cancel(id);
    await assert.rejects(stripe.refunds.create({ payment_intent: id }), refused);
    await assert.rejects(stripe.refunds.create({ payment_intent: 'pi_none' }), {
      statusCode: 404,
      code: 'resource_missing',
      param: 'payment_intent',
    });
    await assert.rejects(stripe.refunds.create({}), { statusCode: 400, code: 'parameter_missing' });
  });

  it('list: newest first, by charge, page by page', async () => {
    const { id: payment_intent } = await succeeded(1000);
    const { id: another } = await succeeded(1000);
    const made: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      made.unshift((await stripe.refunds.create({ payment_intent, amount: 10 + n })).id);
      await stripe.refunds.create({ payment_intent: another, amount: 10 });
    }
    const page = await stripe.refunds.list({ payment_intent, limit: 2 });
    assert.deepEqual(
      page.data.map(({ id }) => id),
      made.slice(0, 2),
    );
    assert.equal(page.has_more, true);

    const all: string[] = [];
    for await (const { id } of stripe.refunds.list({ payment_intent, limit: 2 })) all.push(id);
    assert.deepEqual(all, made);

    const everywhere = await stripe.refunds.list({ limit: 1 });
    assert.equal(everywhere.data[0]?.payment_intent, another);
    await assert.rejects(stripe.refunds.list({ starting_after: 're_none' }), { statusCode: 404 });
    await assert.rejects(stripe.refunds.retrieve('re_none'), { statusCode: 404, code: 'resource_missing' });
  });

  it('list: of a charge without refunds, is empty', async () => {
    const { id: payment_intent } = await succeeded(1000);
    const page = await stripe.refunds.list({ payment_intent });
    assert.deepEqual(page.data, []);
    assert.equal(page.has_more, false);
  });
});
