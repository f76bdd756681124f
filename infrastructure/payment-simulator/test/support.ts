// A simulator of its own for each test file, and the real SDK to call it with.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Stripe from 'stripe';
import { createProvider, type Provider } from '../src/client.ts';
import { createSimulator, type Simulator, type SimulatorOptions } from '../src/simulator.ts';

export const apiKey = 'sk_test_key';

/** The official SDK, pointed at the simulator; it makes one attempt a call, unless the connection is closed under it. */
export function stripeClient(url: string, key = apiKey): Stripe {
  const { hostname, port } = new URL(url);
  return new Stripe(key, { host: hostname, port, protocol: 'http', maxNetworkRetries: 0, telemetry: false });
}

/** The simulator's control calls, as end-to-end tests make them. */
export const providerAt = (url: string): Provider => createProvider(url.replace('//', `//:${apiKey}@`));

export type RunningSimulator = Simulator & {
  readonly stripe: Stripe;
  readonly provider: Provider;
  readonly folder: string;
};

/** Starts one on a free port with an empty ledger; `stop` also removes the ledger. */
export async function startSimulator(options: Partial<SimulatorOptions> = {}): Promise<RunningSimulator> {
  const folder = await mkdtemp(join(tmpdir(), 'payment-simulator-'));
  const simulator = createSimulator({ apiKey, ledgerFile: join(folder, 'ledger.sqlite'), ...options });
  await simulator.start();
  return {
    start: simulator.start,
    async stop() {
      await simulator.stop();
      await rm(folder, { recursive: true });
    },
    url: simulator.url,
    stripe: stripeClient(simulator.url),
    provider: providerAt(simulator.url),
    folder,
  };
}

/** Calls without the SDK, for what it would not send. */
export function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body,
  });
}
