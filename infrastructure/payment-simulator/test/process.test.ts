// The process as it is run: it keeps what it acknowledged when it is killed, stops cleanly, and says what is wrong with its settings.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import type Stripe from 'stripe';
import { apiKey, providerAt, stripeClient } from './support.ts';

const main = join(import.meta.dirname, '../src/main.ts');

describe('the process', () => {
  let folder: string;
  const running = new Set<ChildProcess>();
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'payment-simulator-'));
  });
  after(async () => {
    for (const child of running) child.kill('SIGKILL');
    await rm(folder, { recursive: true });
  });

  function run(env: Record<string, string>) {
    const child = spawn(process.execPath, [main], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    const exited = once(child, 'exit').then(([code, signal]) => {
      running.delete(child);
      return code ?? signal;
    });
    return { child, exited };
  }

  async function start(ledger: string, env: Record<string, string> = {}) {
    const { child, exited } = run({ PORT: '0', LEDGER_FILE: join(folder, ledger), STRIPE_API_KEY: apiKey, ...env });
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.on('data', (line) => resolve(String(/http:\S+(?=,)/.exec(String(line)))));
      child.stderr.on('data', (line) => reject(new Error(String(line))));
    });
    return { child, exited, url, stripe: stripeClient(url) };
  }

  it('kill -9: keeps all that it acknowledged, and a retry with the same key finds the first charge', async () => {
    const first = await start('killed.sqlite');
    const acknowledged: { order: string; id: string; status: string }[] = [];
    const unanswered: string[] = [];
    const params = (order: string) => ({
      amount: 100,
      currency: 'usd',
      payment_method: 'pm_card_visa',
      confirm: true,
      metadata: { order },
    });
    const charge = (stripe: Stripe, order: string) =>
      stripe.paymentIntents.create(params(order), { idempotencyKey: order });
    // Eight callers in parallel; the process is killed in the middle of their calls.
    await Promise.all(
      Array.from({ length: 8 }, async (_, caller) => {
        for (let n = 0; ; n += 1) {
          const order = `${caller}-${n}`;
          try {
            const { id, status } = await charge(first.stripe, order);
            acknowledged.push({ order, id, status });
          } catch {
            unanswered.push(order);
            return;
          }
          if (acknowledged.length === 200) first.child.kill('SIGKILL');
        }
      }),
    );
    assert.equal(await first.exited, 'SIGKILL');
    assert.equal(unanswered.length, 8);

    const second = await start('killed.sqlite');
    const before = new Map((await providerAt(second.url).ledger()).map((item) => [item.paymentIntentId, item]));
    for (const { order, id } of acknowledged) {
      assert.equal(before.get(id)?.status, 'succeeded');
      assert.equal(before.get(id)?.metadata.order, order);
      assert.equal((await charge(second.stripe, order)).id, id);
    }
    for (const order of unanswered) assert.equal((await charge(second.stripe, order)).status, 'succeeded');
    const orders = (await providerAt(second.url).ledger()).map((item) => item.metadata.order);
    assert.equal(orders.length, acknowledged.length + unanswered.length);
    assert.equal(new Set(orders).size, orders.length);
    second.child.kill('SIGTERM');
    assert.equal(await second.exited, 0);
  });

  it('kill -9: a charge that is processing is not lost: it is decided when its time is over, at once where its mood had none', async () => {
    const first = await start('processing.sqlite');
    const provider = providerAt(first.url);
    const charge = { amount: 100, currency: 'usd', payment_method: 'pm_card_visa' };
    const confirmedIn = async (terms: { ms?: number; times?: number }) => {
      await provider.setMood({ mood: 'processing', ...terms });
      const { id, status } = await first.stripe.paymentIntents.create({ ...charge, confirm: true });
      assert.equal(status, 'processing');
      return id;
    };
    const soon = await confirmedIn({ ms: 50, times: 1 });
    const late = await confirmedIn({ ms: 60_000, times: 1 });
    const openEnded = await confirmedIn({});
    first.child.kill('SIGKILL');
    await first.exited;

    const second = await start('processing.sqlite');
    const statusOf = async (id: string) => (await second.stripe.paymentIntents.retrieve(id)).status;
    assert.equal(await statusOf(soon), 'succeeded');
    assert.equal(await statusOf(late), 'processing');
    assert.equal(await statusOf(openEnded), 'succeeded');
    assert.deepEqual(await providerAt(second.url).moods(), []);
    // Who looks only at the books sees the same.
    assert.deepEqual(
      (await providerAt(second.url).ledger()).map(({ status }) => status),
      ['succeeded', 'processing', 'succeeded'],
    );
    second.child.kill('SIGTERM');
    assert.equal(await second.exited, 0);
  });

  it('SIGTERM: ends the call under way, takes no new one, exits 0', async () => {
    const { child, exited, url, stripe } = await start('stopped.sqlite');
    await stripe.refunds.list();
    const { hostname, port } = new URL(url);
    const body = 'amount=1&currency=usd';
    const socket = connect(Number(port), hostname);
    // Half a request: the server has its head and waits for the rest of the body.
    socket.write(
      `POST /v1/payment_intents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${apiKey}\r\nExpect: 100-continue\r\n` +
        `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    const [goOn] = await once(socket, 'data');
    assert.match(String(goOn), /^HTTP\/1.1 100 /);
    child.kill('SIGTERM');
    await refusesConnections(Number(port), hostname);
    socket.write(body);
    const answer = await text(socket);
    assert.match(answer, /^HTTP\/1.1 200 /);
    assert.match(answer, /connection: close/i);
    assert.equal(await exited, 0);
  });

  it('wrong settings: all told at once, exit 1', async () => {
    const { child, exited } = run({ PORT: 'x', STRIPE_API_KEY: 'sk_live_1', NODE_ENV: 'staging' });
    const complaints = await text(child.stderr);
    assert.equal(await exited, 1);
    for (const name of ['PORT', 'STRIPE_API_KEY', 'NODE_ENV', 'LEDGER_FILE'])
      assert.match(complaints, new RegExp(`${name}: `));
    assert.doesNotMatch(complaints, /sk_live_1/);
  });

  it('a ledger or a port that another process has: one clear line, exit 1', async () => {
    const first = await start('shared.sqlite');
    const { port } = new URL(first.url);
    for (const [ledger, wanted, complaint] of [
      ['shared.sqlite', '0', /cannot start: .*locked/],
      ['other.sqlite', port, /cannot start: .*EADDRINUSE/],
    ] as const) {
      const { child, exited } = run({ PORT: wanted, LEDGER_FILE: join(folder, ledger), STRIPE_API_KEY: apiKey });
      const complaints = await text(child.stderr);
      assert.match(complaints, complaint);
      assert.equal(complaints.trim().split('\n').length, 1);
      assert.equal(await exited, 1);
    }
    first.child.kill('SIGTERM');
    assert.equal(await first.exited, 0);
  });
});

/** Waits until nothing listens there any more. */
async function refusesConnections(port: number, host: string): Promise<void> {
  for (;;) {
    const socket = connect(port, host);
    const refused = await Promise.race([
      once(socket, 'connect').then(() => false),
      new Promise<boolean>((resolve) => socket.on('error', () => resolve(true))),
    ]);
    socket.destroy();
    if (refused) return;
  }
}
