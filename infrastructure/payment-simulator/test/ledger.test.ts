// What the auditor reads, and who may read it.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { apiKey, startSimulator } from './support.ts';

it('ledger: tells every charge with its refunds, oldest first, page by page', async () => {
  const simulator = await startSimulator();
  const { stripe, provider } = simulator;
  try {
    assert.deepEqual(await provider.ledger(), []);
    const paid = await stripe.paymentIntents.create({
      amount: 1000,
      currency: 'USD',
      payment_method: 'pm_card_visa',
      confirm: true,
      metadata: { orderId: 'one' },
    });
    const refunds = [];
    for (const amount of [100, 200]) {
      const refund = await stripe.refunds.create({
        payment_intent: paid.id,
        amount,
        metadata: { refundId: `of ${amount}` },
      });
      refunds.push({ refundId: refund.id, amount, status: 'succeeded', metadata: { refundId: `of ${amount}` } });
    }
    const open = await stripe.paymentIntents.create({ amount: 5, currency: 'eur' });
    const given = await stripe.paymentIntents.create({ amount: 7, currency: 'jpy', payment_method: 'pm_card_visa' });
    await stripe.paymentIntents.cancel(given.id);

    const expected = [
      {
        paymentIntentId: paid.id,
        status: 'succeeded',
        amount: 1000,
        currency: 'usd',
        metadata: { orderId: 'one' },
        refunds,
      },
      {
        paymentIntentId: open.id,
        status: 'requires_payment_method',
        amount: 5,
        currency: 'eur',
        metadata: {},
        refunds: [],
      },
      { paymentIntentId: given.id, status: 'canceled', amount: 7, currency: 'jpy', metadata: {}, refunds: [] },
    ];
    assert.deepEqual(await provider.ledger(1), expected);
    assert.deepEqual(await provider.ledger(3), expected);
    assert.deepEqual(await provider.ledger(100), expected);
  } finally {
    await simulator.stop();
  }
});

it('ledger: is read with its own key, as a bearer token or the password of the URL', async () => {
  const simulator = await startSimulator({ ledgerKey: 'ledger_key' });
  try {
    const statusFor = async (authorization?: string, query = '') =>
      (await fetch(`${simulator.url}/ledger${query}`, { headers: { ...(authorization && { authorization }) } })).status;
    const { username, password } = new URL('http://:ledger_key@127.0.0.1');
    const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    assert.equal(await statusFor('Bearer ledger_key'), 200);
    assert.equal(await statusFor(basic), 200);
    assert.equal(await statusFor(), 401);
    assert.equal(await statusFor(`Bearer ${apiKey}`), 401);
    for (const query of ['?limit=0', '?limit=101', '?limit=x', '?cursor=x', '?page=1']) {
      assert.equal(await statusFor(basic, query), 400, query);
    }
    // A reader of the ledger may not charge.
    const response = await fetch(`${simulator.url}/v1/refunds`, { headers: { authorization: 'Bearer ledger_key' } });
    assert.equal(response.status, 401);
  } finally {
    await simulator.stop();
  }
});

it('ledger: with nothing in it, is an empty page', async () => {
  const simulator = await startSimulator();
  try {
    const response = await fetch(`${simulator.url}/ledger`, { headers: { authorization: `Bearer ${apiKey}` } });
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.deepEqual(await response.json(), { items: [], nextCursor: null });
  } finally {
    await simulator.stop();
  }
});
