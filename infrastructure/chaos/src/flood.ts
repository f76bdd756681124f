// Sends orders at a fixed rate, however slowly they are answered, as a crowd does, and tells how they were answered and how the health checks fared meanwhile.
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { orderOf } from './caller.ts';

const CLIENT_TIMEOUT_MS = 30_000;
const PROBE_INTERVAL_MS = 100;
/** So often a batch of orders goes out. */
const TICK_MS = 10;

/** All 0 where there was nothing to measure. */
interface Quantiles {
  medianMs: number;
  p99Ms: number;
  longestMs: number;
}

export interface FloodFigures {
  sent: number;
  /** The orders that were accepted. */
  orderIds: string[];
  acceptedPerS: number;
  accepted: Quantiles;
  /** Answers 429 and 503. */
  refused: Quantiles & { count: number; withoutRetryAfter: number };
  /** How often each status came; `0` stands for no answer. */
  statuses: Record<string, number>;
  /** GET /health and GET /ready, each time over a connection of its own, as an orchestrator asks. */
  probes: Quantiles & { count: number; failed: number };
}

interface Answer {
  /** 0: none. */
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
  ms: number;
}

function ask(url: string, options: http.RequestOptions, body?: string): Promise<Answer> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const end = (status: number, headers: http.IncomingHttpHeaders, text: string) =>
      resolve({ status, headers, body: text, ms: performance.now() - startedAt });
    const request = http.request(url, { timeout: CLIENT_TIMEOUT_MS, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => end(response.statusCode ?? 0, response.headers, text));
      response.on('error', () => end(0, {}, ''));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => end(0, {}, ''));
    request.end(body);
  });
}

function quantiles(answers: readonly Answer[]): Quantiles {
  const sorted = answers.map(({ ms }) => ms).sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { medianMs: at(0.5), p99Ms: at(0.99), longestMs: at(1) };
}

/**
 * @param options.tokens of the customers who order, in turn
 * @param options.rate orders per second, over all gateways together
 * @returns when all are answered
 */
export async function flood(options: {
  gatewayUrls: readonly string[];
  tokens: readonly string[];
  productId: string;
  rate: number;
  seconds: number;
}): Promise<FloodFigures> {
  const { gatewayUrls, tokens, productId, rate, seconds } = options;
  const agent = new http.Agent({ keepAlive: true });
  const body = JSON.stringify(orderOf([{ productId, quantity: 1 }]));
  const order = (index: number) =>
    ask(
      `${gatewayUrls[index % gatewayUrls.length]}/api/v1/orders`,
      {
        method: 'POST',
        agent,
        headers: {
          authorization: `Bearer ${tokens[index % tokens.length]}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          'idempotency-key': randomUUID(),
        },
      },
      body,
    );

  const startedAt = performance.now();
  const elapsedS = () => Math.min(seconds, (performance.now() - startedAt) / 1000);
  const probing = Promise.all(
    gatewayUrls
      .flatMap((url) => ['/health', '/ready'].map((path) => url + path))
      .map(async (url) => {
        const answers: Answer[] = [];
        while (elapsedS() < seconds) {
          answers.push(await ask(url, { agent: false }));
          await delay(PROBE_INTERVAL_MS);
        }
        return answers;
      }),
  );
  const sent: Promise<Answer>[] = [];
  while (sent.length < rate * seconds) {
    for (const due = elapsedS() * rate; sent.length < due; ) sent.push(order(sent.length));
    await delay(TICK_MS);
  }
  const answers = await Promise.all(sent);
  const probes = (await probing).flat();
  agent.destroy();

  const accepted = answers.filter(({ status }) => status === 201);
  const refused = answers.filter(({ status }) => status === 429 || status === 503);
  const statuses: Record<string, number> = {};
  for (const { status } of answers) statuses[status] = (statuses[status] ?? 0) + 1;
  return {
    sent: answers.length,
    orderIds: accepted.map((answer) => (JSON.parse(answer.body) as { id: string }).id),
    acceptedPerS: accepted.length / seconds,
    accepted: quantiles(accepted),
    refused: {
      ...quantiles(refused),
      count: refused.length,
      withoutRetryAfter: refused.filter(({ headers }) => !/^\d+$/.test(headers['retry-after'] ?? '')).length,
    },
    statuses,
    probes: {
      ...quantiles(probes),
      count: probes.length,
      failed: probes.filter(({ status }) => status !== 200).length,
    },
  };
}
