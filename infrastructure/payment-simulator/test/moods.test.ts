// The moods, each set over HTTP and felt through the real SDK.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import Stripe from 'stripe';
import type { MoodRule, MoodTerms, Provider } from '../src/client.ts';
import { apiKey, post, type RunningSimulator, startSimulator, stripeClient } from './support.ts';

const failed = { statusCode: 500, type: 'StripeAPIError', rawType: 'api_error' };
const dropped = { type: 'StripeConnectionError' };
const unexpectedState = { statusCode: 400, code: 'payment_intent_unexpected_state' };

describe('moods', () => {
  let simulator: RunningSimulator;
  let stripe: Stripe;
  let provider: Provider;
  before(async () => {
    simulator = await startSimulator();
    ({ stripe, provider } = simulator);
  });
  afterEach(() => provider.calm());
  after(() => simulator.stop());

  /** A charge of its own order, not made yet. */
  const open = (card = 'pm_card_visa', orderId: string = randomUUID()) =>
    stripe.paymentIntents.create({ amount: 1000, currency: 'usd', payment_method: card, metadata: { orderId } });
  const paid = async () => stripe.paymentIntents.confirm((await open()).id);
  const inLedger = async (id: string) =>
    (await provider.ledger()).find(({ paymentIntentId }) => paymentIntentId === id) ?? assert.fail(`${id} is unknown`);
  const statusOf = async (id: string) => (await stripe.paymentIntents.retrieve(id)).status;
  const actedOf = async (mood: MoodTerms['mood']) =>
    (await provider.moods()).filter((rule) => rule.mood === mood).map(({ acted }) => acted);
  const keyed = (idempotencyKey: string) => ({ idempotencyKey });

  it('slow: waits, then does it', async () => {
    const { id } = await open();
    await provider.setMood({ mood: 'slow', ms: 300, call: 'confirm' });
    const startedAt = performance.now();
    assert.equal((await stripe.paymentIntents.confirm(id)).status, 'succeeded');
    // Timers may be a millisecond early.
    assert.ok(performance.now() - startedAt >= 298);
  });

  it('slow: what waits is done at once when the mood ends, also where nobody waits for the answer any more', async () => {
    const { id } = await open();
    const { id: mood } = await provider.setMood({ mood: 'slow', ms: 60_000 });
    await assert.rejects(stripe.paymentIntents.confirm(id, {}, { timeout: 100 }), dropped);
    assert.equal((await inLedger(id)).status, 'requires_confirmation');
    await provider.endMood(mood);
    await waitFor('the charge is made', async () => (await inLedger(id)).status === 'succeeded');
  });

  it('slow: a stop does what waits, and answers it', async () => {
    const own = await startSimulator();
    await own.provider.setMood({ mood: 'slow', ms: 60_000 });
    const charge = own.stripe.paymentIntents.create({ amount: 5, currency: 'usd' });
    await waitFor('it waits', async () => (await own.provider.moods())[0]?.acted === 1);
    await own.stop();
    assert.equal((await charge).amount, 5);
  });

  it('failing: answers 500 and does nothing; the 500 stays under its key, a new key goes through when it is over', async () => {
    const { id } = await open();
    await provider.setMood({ mood: 'failing' });
    await assert.rejects(stripe.paymentIntents.confirm(id, {}, keyed('failing-1')), failed);
    await assert.rejects(stripe.paymentIntents.retrieve(id), failed);
    await assert.rejects(stripe.refunds.list({ payment_intent: id }), failed);
    assert.equal((await inLedger(id)).status, 'requires_confirmation');
    await provider.calm();
    await assert.rejects(stripe.paymentIntents.confirm(id, {}, keyed('failing-1')), (error) => {
      assert.ok(error instanceof Stripe.errors.StripeAPIError);
      assert.equal(error.headers?.['idempotent-replayed'], 'true');
      return true;
    });
    assert.equal((await stripe.paymentIntents.confirm(id, {}, keyed('failing-2'))).status, 'succeeded');
  });

  it('failing: an answer that a key has already is given again', async () => {
    const { id } = await open();
    const first = await stripe.paymentIntents.confirm(id, {}, keyed('before-failing'));
    await provider.setMood({ mood: 'failing', call: 'confirm' });
    assert.deepEqual(await stripe.paymentIntents.confirm(id, {}, keyed('before-failing')), first);
    assert.deepEqual(await actedOf('failing'), [0]);
  });

  it('failing: with done, does it before it answers 500', async () => {
    const { id } = await paid();
    await provider.setMood({ mood: 'failing', call: 'refund', done: true });
    const refund = (key: string) => stripe.refunds.create({ payment_intent: id, amount: 400 }, keyed(key));
    await assert.rejects(refund('done'), failed);
    await assert.rejects(refund('done'), failed);
    const { refunds } = await inLedger(id);
    assert.deepEqual(
      refunds.map(({ amount, status }) => ({ amount, status })),
      [{ amount: 400, status: 'succeeded' }],
    );
  });

  it('drop-before: no answer, and nothing is done', async () => {
    const { id } = await open();
    await provider.setMood({ mood: 'drop-before', call: 'confirm' });
    await assert.rejects(stripe.paymentIntents.confirm(id, {}, keyed('drop-before')), dropped);
    assert.equal((await inLedger(id)).status, 'requires_confirmation');
    await provider.calm();
    const confirmed = await stripe.paymentIntents.confirm(id, {}, keyed('drop-before'));
    assert.equal(confirmed.status, 'succeeded');
    assert.equal(confirmed.lastResponse.headers['idempotent-replayed'], undefined);
  });

  it('drop-after: no answer, and it is done once; the same key finds it', async () => {
    const { id } = await paid();
    await provider.setMood({ mood: 'drop-after', call: 'refund' });
    const refund = () => stripe.refunds.create({ payment_intent: id, amount: 400 }, keyed('drop-after'));
    await assert.rejects(refund(), dropped);
    await assert.rejects(refund(), dropped);
    await provider.calm();
    const found = await refund();
    assert.equal(found.lastResponse.headers['idempotent-replayed'], 'true');
    assert.deepEqual(
      (await inLedger(id)).refunds.map(({ refundId }) => refundId),
      [found.id],
    );
  });

  it('down: drops every call of /v1 before anything, and nothing else', async () => {
    const { id } = await open();
    await provider.setMood({ mood: 'down' });
    const stranger = stripeClient(simulator.url, 'sk_test_other');
    for (const call of [
      stripe.paymentIntents.confirm(id),
      stripe.paymentIntents.retrieve(id),
      stripe.refunds.list(),
      stranger.refunds.list(),
    ])
      await assert.rejects(call, dropped);
    for (const path of ['health', 'ready']) assert.equal((await fetch(`${simulator.url}/${path}`)).status, 200);
    assert.equal((await inLedger(id)).status, 'requires_confirmation');
    // The SDK tries once more where a connection is closed under it.
    assert.deepEqual(await actedOf('down'), [8]);
    await provider.calm();
    assert.equal((await stripe.paymentIntents.confirm(id)).status, 'succeeded');
  });

  it('refusing: a refund is refused for good, under its key also when the mood is over', async () => {
    const { id } = await paid();
    await provider.setMood({ mood: 'refusing', times: 1 });
    await provider.setMood({ mood: 'refusing', code: 'refund_disputed_payment' });
    const refund = (key: string) => stripe.refunds.create({ payment_intent: id }, keyed(key));
    const refused = (code: string) => ({ type: 'StripeInvalidRequestError', statusCode: 400, code });
    await assert.rejects(refund('refused-1'), refused('charge_disputed'));
    await assert.rejects(refund('refused-2'), refused('refund_disputed_payment'));
    // Charges go on as ever.
    await paid();
    await provider.calm();
    await assert.rejects(refund('refused-1'), refused('charge_disputed'));
    assert.deepEqual((await inLedger(id)).refunds, []);
    assert.equal((await refund('refused-3')).amount, 1000);
  });

  it('refund-failing: the refund is there and has failed; no money is given back, and all can be refunded still', async () => {
    const { id } = await paid();
    await provider.setMood({ mood: 'refund-failing', times: 2 });
    const first = await stripe.refunds.create({ payment_intent: id, amount: 600, metadata: { refundId: 'r1' } });
    assert.equal(first.status, 'failed');
    assert.equal(first.failure_reason, 'declined');
    assert.equal((await stripe.refunds.create({ payment_intent: id, amount: 600 })).status, 'failed');
    assert.equal((await stripe.refunds.retrieve(first.id)).status, 'failed');
    assert.equal((await stripe.refunds.list({ payment_intent: id })).data[1]?.id, first.id);

    const second = await stripe.refunds.create({ payment_intent: id });
    assert.equal(second.status, 'succeeded');
    assert.equal(second.amount, 1000);
    assert.equal(second.failure_reason, undefined);
    assert.deepEqual(
      (await inLedger(id)).refunds.map(({ amount, status }) => ({ amount, status })),
      [
        { amount: 600, status: 'failed' },
        { amount: 600, status: 'failed' },
        { amount: 1000, status: 'succeeded' },
      ],
    );
    await assert.rejects(stripe.refunds.create({ payment_intent: id }), { code: 'charge_already_refunded' });
  });

  for (const [card, outcome] of [
    ['pm_card_visa', 'succeeded'],
    ['pm_card_chargeDeclined', 'requires_payment_method'],
  ] as const) {
    it(`processing: ${card} stays undecided until the mood ends, then is ${outcome}`, async () => {
      const { id } = await open(card);
      const { id: mood } = await provider.setMood({ mood: 'processing' });
      const confirmed = await stripe.paymentIntents.confirm(id, {}, keyed(`processing ${card}`));
      assert.equal(confirmed.status, 'processing');
      assert.equal(confirmed.amount_received, 0);
      assert.equal(await statusOf(id), 'processing');
      assert.equal((await inLedger(id)).status, 'processing');
      await assert.rejects(stripe.paymentIntents.confirm(id), unexpectedState);
      await assert.rejects(stripe.paymentIntents.cancel(id), unexpectedState);
      await assert.rejects(stripe.refunds.create({ payment_intent: id }), unexpectedState);
      assert.equal(await statusOf(id), 'processing');

      await provider.endMood(mood);
      assert.equal((await inLedger(id)).status, outcome);
      const decided = await stripe.paymentIntents.retrieve(id);
      assert.equal(decided.status, outcome);
      assert.equal(decided.latest_charge, confirmed.latest_charge);
      assert.equal(decided.amount_received, outcome === 'succeeded' ? 1000 : 0);
      assert.equal(decided.last_payment_error?.decline_code, outcome === 'succeeded' ? undefined : 'generic_decline');
      // The key keeps what was answered under it.
      assert.equal((await stripe.paymentIntents.confirm(id, {}, keyed(`processing ${card}`))).status, 'processing');
    });
  }

  it('processing: without a time, ends when the mood is spent', async () => {
    await provider.setMood({ mood: 'processing', times: 2 });
    const [first, second] = [await paid(), await open()];
    assert.equal(first.status, 'processing');
    assert.equal(await statusOf(first.id), 'processing');
    assert.equal((await stripe.paymentIntents.confirm(second.id)).status, 'processing');
    assert.equal(await statusOf(first.id), 'succeeded');
    assert.equal(await statusOf(second.id), 'succeeded');
  });

  it('processing: with a time, ends when it is over, or when the mood is deleted', async () => {
    await provider.setMood({ mood: 'processing', ms: 500, times: 1 });
    const startedAt = performance.now();
    const { id, status } = await paid();
    assert.equal(status, 'processing');
    await waitFor('the charge is made', async () => (await statusOf(id)) === 'succeeded');
    assert.ok(performance.now() - startedAt >= 498);

    await provider.setMood({ mood: 'processing', ms: 60_000 });
    const long = await paid();
    assert.equal(await statusOf(long.id), 'processing');
    await provider.calm();
    assert.equal(await statusOf(long.id), 'succeeded');
  });

  it('processing: a charge that is confirmed as it is created, too; one that is not, does not count', async () => {
    await provider.setMood({ mood: 'processing', times: 1 });
    await open();
    const charge = { amount: 5, currency: 'usd', payment_method: 'pm_card_visa', confirm: true };
    const { id, status } = await stripe.paymentIntents.create(charge);
    assert.equal(status, 'processing');
    assert.equal(await statusOf(id), 'succeeded');
  });

  it('order_id: puts one order into a mood, by its charge and by its refund, while others go on', async () => {
    const [one, other] = [await paid(), await paid()];
    const { orderId = '' } = one.metadata;
    const named = await stripe.refunds.create({ payment_intent: other.id, amount: 1, metadata: { orderId } });
    await provider.setMood({ mood: 'failing', order_id: orderId });
    for (const call of [
      stripe.refunds.retrieve(named.id),
      open('pm_card_visa', orderId),
      stripe.paymentIntents.retrieve(one.id),
      stripe.paymentIntents.confirm(one.id),
      stripe.paymentIntents.cancel(one.id),
      stripe.refunds.create({ payment_intent: one.id }),
      stripe.refunds.create({ payment_intent: other.id, metadata: { orderId } }),
      stripe.refunds.list({ payment_intent: one.id }),
    ])
      await assert.rejects(call, failed);
    assert.equal(await statusOf(other.id), 'succeeded');
    const refund = await stripe.refunds.create({ payment_intent: other.id });
    assert.equal((await stripe.refunds.retrieve(refund.id)).status, 'succeeded');
    await stripe.refunds.list();
    assert.deepEqual(await actedOf('failing'), [8]);
  });

  for (const [call, other] of [
    ['create', 'confirm'],
    ['confirm', 'cancel'],
    ['cancel', 'retrieve'],
    ['retrieve', 'refund'],
    ['refund', 'list-refunds'],
    ['list-refunds', 'create'],
  ] as const) {
    it(`call: ${call} alone is in the mood`, async () => {
      const made = await paid();
      const toCancel = await open();
      const make = {
        create: () => open(),
        confirm: () => stripe.paymentIntents.confirm(toCancel.id, { payment_method: 'pm_card_visa' }),
        cancel: () => stripe.paymentIntents.cancel(toCancel.id),
        retrieve: () => stripe.paymentIntents.retrieve(made.id),
        refund: () => stripe.refunds.create({ payment_intent: made.id }),
        'list-refunds': () => stripe.refunds.list({ payment_intent: made.id }),
      };
      await provider.setMood({ mood: 'failing', call });
      await make[other]();
      await assert.rejects(make[call](), failed);
      assert.deepEqual(await actedOf('failing'), [1]);
    });
  }

  it('times: acts so often, also on calls that come at once, and is told as spent', async () => {
    const { id } = await open();
    await provider.setMood({ mood: 'failing', times: 3 });
    const tries = await Promise.allSettled(Array.from({ length: 10 }, () => stripe.paymentIntents.retrieve(id)));
    assert.equal(tries.filter(({ status }) => status === 'rejected').length, 3);
    assert.deepEqual(await actedOf('failing'), [3]);
  });

  it('several: the first that matches acts, and the next one when it is spent', async () => {
    const { id } = await paid();
    await provider.setMood({ mood: 'refusing', times: 1 });
    await provider.setMood({ mood: 'failing', call: 'refund', times: 1 });
    const refund = () => stripe.refunds.create({ payment_intent: id });
    await assert.rejects(refund(), { statusCode: 400 });
    await assert.rejects(refund(), failed);
    assert.equal((await refund()).status, 'succeeded');
    assert.deepEqual(
      (await provider.moods()).map(({ mood, acted }) => [mood, acted]),
      [
        ['refusing', 1],
        ['failing', 1],
      ],
    );
  });

  it('a call that is wrong in itself: is told so, and uses no mood up', async () => {
    await provider.setMood({ mood: 'failing', times: 1 });
    await assert.rejects(stripe.paymentIntents.create({ amount: 0, currency: 'usd' }), { statusCode: 400 });
    await assert.rejects(stripeClient(simulator.url, 'sk_test_other').refunds.list(), { statusCode: 401 });
    assert.deepEqual(await actedOf('failing'), [0]);
  });

  it('control: answers the rule, lists all, ends one, ends all', async () => {
    const slow = await provider.setMood({ mood: 'slow', ms: 1, call: 'retrieve', order_id: 'o', times: 2 });
    assert.match(slow.id, /^mood_/);
    const { id: slowId, ...terms } = slow;
    assert.deepEqual(terms, { mood: 'slow', ms: 1, call: 'retrieve', order_id: 'o', times: 2, acted: 0 });
    const failing = await provider.setMood({ mood: 'failing' });
    assert.deepEqual(await provider.moods(), [slow, failing]);
    assert.deepEqual(await provider.endMood(slowId), slow);
    assert.deepEqual(await provider.moods(), [failing]);
    await provider.calm();
    assert.deepEqual(await provider.moods(), []);
  });

  it('control: goes on in every mood, as form or query, by the password of a URL, and for nobody without the key', async () => {
    for (const mood of ['down', 'failing', 'drop-before', 'drop-after'] as const) await provider.setMood({ mood });
    const url = `${simulator.url}/moods`;
    const basic = { authorization: `Basic ${Buffer.from(`:${apiKey}`).toString('base64')}` };
    const inQuery = await fetch(`${url}?mood=slow&ms=5`, { method: 'POST', headers: basic });
    assert.equal(inQuery.status, 200);
    const { id, ms } = (await inQuery.json()) as MoodRule;
    assert.equal(ms, 5);
    assert.equal((await fetch(`${url}/${id}`, { method: 'DELETE', headers: basic })).status, 200);
    for (const method of ['GET', 'POST', 'DELETE']) assert.equal((await fetch(url, { method })).status, 401);
    assert.equal((await provider.moods()).length, 4);
  });

  for (const [what, body, expected] of [
    ['no mood', 'ms=5', { code: 'parameter_missing', param: 'mood' }],
    ['an unknown mood', 'mood=sad', { param: 'mood' }],
    ['slow without a time', 'mood=slow', { code: 'parameter_missing', param: 'ms' }],
    ['a time that is none', 'mood=slow&ms=soon', { code: 'parameter_invalid_integer', param: 'ms' }],
    ['no times', 'mood=failing&times=0', { code: 'parameter_invalid_integer', param: 'times' }],
    ['an unknown call', 'mood=failing&call=capture', { param: 'call' }],
    ['a call that the mood does not fit', 'mood=refusing&call=confirm', { param: 'call' }],
    ['a parameter of another mood', 'mood=failing&ms=5', { code: 'parameter_unknown', param: 'ms' }],
    ['down for one call', 'mood=down&call=confirm', { code: 'parameter_unknown', param: 'call' }],
    ['an empty order', 'mood=failing&order_id=', { code: 'parameter_invalid_empty', param: 'order_id' }],
  ] as const) {
    it(`control: with ${what}, is refused by name`, async () => {
      const response = await post(`${simulator.url}/moods`, body);
      assert.equal(response.status, 400);
      const { error } = (await response.json()) as { error: Record<string, unknown> };
      const { type, code, param } = error;
      assert.deepEqual({ type, code, param }, { type: 'invalid_request_error', code: undefined, ...expected });
      assert.deepEqual(await provider.moods(), []);
    });
  }

  it('control: of an unknown mood or another way, is a 404', async () => {
    await assert.rejects(provider.endMood('mood_none'), /404 .*resource_missing/);
    for (const [method, path] of [
      ['GET', '/moods/mood_1'],
      ['PUT', '/moods'],
      ['POST', '/moods/mood_1'],
    ] as const) {
      const headers = { authorization: `Bearer ${apiKey}` };
      assert.equal((await fetch(`${simulator.url}${path}`, { method, headers })).status, 404);
    }
  });
});
