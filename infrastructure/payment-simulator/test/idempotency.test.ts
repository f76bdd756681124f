// Idempotency keys through the real SDK: again, at once, with another body, after a decline and after a failure.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import Stripe from 'stripe';
import { openLedger } from '../src/data/ledger.ts';
import { createDoor } from '../src/http/door.ts';
import { findRoute, type Prepare } from '../src/http/routes.ts';
import { createMoods } from '../src/moods.ts';
import { post, type RunningSimulator, startSimulator } from './support.ts';

const charge = { amount: 1999, currency: 'usd', payment_method: 'pm_card_visa' };

describe('idempotency keys', () => {
  let simulator: RunningSimulator;
  let stripe: Stripe;
  before(async () => {
    simulator = await startSimulator();
    stripe = simulator.stripe;
  });
  after(() => simulator.stop());

  it('the same call again: the first answer, marked, and nothing done', async () => {
    const options = { idempotencyKey: 'again' };
    const first = await stripe.paymentIntents.create(charge, options);
    await stripe.paymentIntents.confirm(first.id, {}, { idempotencyKey: 'again-confirm' });
    const second = await stripe.paymentIntents.create(charge, options);
    // The answer is the first one, also where the intent has changed since.
    assert.deepEqual(second, first);
    assert.equal(second.lastResponse.headers['idempotent-replayed'], 'true');
    assert.equal(second.lastResponse.headers['original-request'], first.lastResponse.requestId);
    assert.notEqual(second.lastResponse.requestId, first.lastResponse.requestId);
    assert.equal(first.lastResponse.headers['idempotent-replayed'], undefined);
    const charges = await simulator.provider.ledger();
    assert.equal(charges.filter(({ paymentIntentId }) => paymentIntentId === first.id).length, 1);

    const confirmed = await stripe.paymentIntents.confirm(first.id, {}, { idempotencyKey: 'again-confirm' });
    assert.equal(confirmed.status, 'succeeded');
  });

  it('the same parameters in another order: the first answer', async () => {
    const url = `${simulator.url}/v1/payment_intents`;
    const key = { 'idempotency-key': 'order' };
    const first = await post(url, 'amount=1&currency=usd&metadata[a]=1&metadata[b]=2', key);
    const second = await post(url, 'metadata[b]=2&currency=usd&metadata[a]=1&amount=1', key);
    assert.equal(second.headers.get('idempotent-replayed'), 'true');
    assert.equal(await second.text(), await first.text());
  });

  it('another body or another call: refused', async () => {
    const options = { idempotencyKey: 'another' };
    const { id } = await stripe.paymentIntents.create(charge, options);
    for (const call of [
      stripe.paymentIntents.create({ ...charge, amount: 2000 }, options),
      stripe.paymentIntents.confirm(id, {}, options),
      stripe.refunds.create({ payment_intent: id }, options),
    ]) {
      await assert.rejects(call, (error) => {
        assert.ok(error instanceof Stripe.errors.StripeIdempotencyError);
        assert.equal(error.statusCode, 400);
        return true;
      });
    }
    assert.equal((await stripe.paymentIntents.retrieve(id)).status, 'requires_confirmation');

    const other = await stripe.paymentIntents.create(charge);
    await stripe.paymentIntents.confirm(id, {}, { idempotencyKey: 'one-intent' });
    await assert.rejects(stripe.paymentIntents.confirm(other.id, {}, { idempotencyKey: 'one-intent' }), {
      type: 'StripeIdempotencyError',
    });
  });

  it('a decline, and any refusal of the call itself: given again', async () => {
    const { id } = await stripe.paymentIntents.create({ ...charge, payment_method: 'pm_card_chargeDeclined' });
    const declined = { statusCode: 402, code: 'card_declined', decline_code: 'generic_decline' };
    await assert.rejects(stripe.paymentIntents.confirm(id, {}, { idempotencyKey: 'declined' }), declined);
    await stripe.paymentIntents.confirm(id, { payment_method: 'pm_card_visa' });
    await assert.rejects(stripe.paymentIntents.confirm(id, {}, { idempotencyKey: 'declined' }), declined);

    await stripe.refunds.create({ payment_intent: id, amount: 1999 });
    for (const replayed of [undefined, 'true']) {
      await assert.rejects(
        stripe.refunds.create({ payment_intent: id }, { idempotencyKey: 'nothing-left' }),
        (error) => {
          assert.ok(error instanceof Stripe.errors.StripeInvalidRequestError);
          assert.equal(error.code, 'charge_already_refunded');
          assert.equal(error.headers?.['idempotent-replayed'], replayed);
          return true;
        },
      );
    }
  });

  it('a call refused for its parameters: leaves the key free', async () => {
    const options = { idempotencyKey: 'free' };
    await assert.rejects(stripe.paymentIntents.create({ ...charge, amount: 0 }, options), { statusCode: 400 });
    assert.equal((await stripe.paymentIntents.create(charge, options)).amount, 1999);
  });

  it('a key of more than 255 characters: refused', async () => {
    const statusWith = async (length: number) =>
      (
        await post(`${simulator.url}/v1/payment_intents`, 'amount=1&currency=usd', {
          'idempotency-key': 'x'.repeat(length),
        })
      ).status;
    assert.equal(await statusWith(255), 200);
    assert.equal(await statusWith(256), 400);
  });

  it('many at once: one charge', async () => {
    const metadata = { orderId: 'many at once' };
    const options = { idempotencyKey: 'at-once' };
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, () => stripe.paymentIntents.create({ ...charge, metadata, confirm: true }, options)),
    );
    const ids = new Set<string>();
    for (const attempt of tries) {
      if (attempt.status === 'fulfilled') ids.add(attempt.value.id);
      else assert.equal(attempt.reason.code, 'idempotency_key_in_use');
    }
    assert.equal(ids.size, 1);
    const charges = (await simulator.provider.ledger()).filter((item) => item.metadata.orderId === metadata.orderId);
    assert.equal(charges.length, 1);
  });

  it('without a key: each call is its own', async () => {
    const url = `${simulator.url}/v1/payment_intents`;
    const [a, b] = await Promise.all([post(url, 'amount=1&currency=usd'), post(url, 'amount=1&currency=usd')]);
    assert.notEqual(((await a.json()) as { id: string }).id, ((await b.json()) as { id: string }).id);
  });

  it('while the first is in progress: a 409 that leaves the key alone', async () => {
    const { provider } = simulator;
    const options = { idempotencyKey: 'slow' };
    const { id: mood } = await provider.setMood({ mood: 'slow', ms: 60_000, call: 'create' });
    const first = stripe.paymentIntents.create(charge, options);
    await waitFor('the first is in progress', async () => (await provider.moods())[0]?.acted === 1);
    await assert.rejects(stripe.paymentIntents.create(charge, options), {
      statusCode: 409,
      code: 'idempotency_key_in_use',
      rawType: 'idempotency_error',
    });
    await provider.endMood(mood);
    const { id } = await first;
    assert.equal((await stripe.paymentIntents.create(charge, options)).id, id);
  });

  it('a fault in the middle of the work: its 500 is given again, nothing of the work is left, a new key goes through', async (context) => {
    context.mock.method(console, 'error', () => {});
    const ledger = openLedger(join(simulator.folder, 'faulty.sqlite'));
    try {
      const answerCall = createDoor({ ledger, moods: createMoods() });
      const { amount, currency } = charge;
      const parameters = { amount: String(amount), currency, payment_method: charge.payment_method, confirm: 'true' };
      const create = async (idempotencyKey: string, fault?: Error) => {
        const route = findRoute('POST', '/v1/payment_intents');
        assert.ok(route);
        const prepare: Prepare = (given, id) => {
          const prepared = route.prepare(given, id);
          if ('refused' in prepared) return prepared;
          return {
            work: (deps) => {
              const answer = prepared.work(deps);
              if (fault) throw fault;
              return answer;
            },
          };
        };
        const call = { ...route, prepare, path: '/v1/payment_intents', parameters, idempotencyKey, requestId: 'req_1' };
        const answer = await answerCall(call);
        assert.ok(answer !== 'dropped');
        return answer.status;
      };
      assert.equal(await create('one', new Error('a fault')), 500);
      assert.deepEqual(ledger.entriesAfter(0, 10), []);
      assert.equal(await create('one'), 500);
      assert.equal(await create('two'), 200);
      assert.equal(ledger.entriesAfter(0, 10).length, 1);
    } finally {
      ledger.close();
    }
  });
});
