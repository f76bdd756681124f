// The flood tells the truth about a gateway that does as it is told: how much it took, how it refused, whether its health checks held.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { flood } from './flood.ts';

const SLOW_MS = 300;

test('flood: sends at its rate however slow the answers are, and counts what became of each order and probe', async (t) => {
  let orders = 0;
  let underWay = 0;
  let mostAtOnce = 0;
  const keys = new Set<unknown>();
  const tokens = new Set<unknown>();
  const server = createServer(async (request, response) => {
    request.resume();
    if (request.url === '/health') return response.writeHead(200).end();
    if (request.url === '/ready') return response.writeHead(503).end();
    const number = orders++;
    keys.add(request.headers['idempotency-key']);
    tokens.add(request.headers.authorization);
    if (number < 10) {
      underWay += 1;
      mostAtOnce = Math.max(mostAtOnce, underWay);
      await delay(SLOW_MS);
      underWay -= 1;
      return response.writeHead(201).end(JSON.stringify({ id: `order-${number}` }));
    }
    if (number === 10) return request.socket.destroy();
    if (number === 11) return response.writeHead(503).end();
    return response.writeHead(429, { 'retry-after': '1' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const figures = await flood({ gatewayUrls: [url], tokens: ['a', 'b'], productId: 'kettle', rate: 50, seconds: 1 });

  assert.equal(figures.sent, 50);
  assert.ok(mostAtOnce > 1, 'it does not wait for answers');
  assert.deepEqual(figures.statuses, { 0: 1, 201: 10, 429: 38, 503: 1 });
  assert.deepEqual(
    [...figures.orderIds].sort(),
    Array.from({ length: 10 }, (_, index) => `order-${index}`),
  );
  assert.equal(figures.acceptedPerS, 10);
  assert.ok(figures.accepted.medianMs >= SLOW_MS - 1);
  assert.deepEqual([figures.refused.count, figures.refused.withoutRetryAfter], [39, 1]);
  assert.ok(figures.refused.medianMs < figures.accepted.medianMs);
  assert.ok(figures.probes.failed > 0 && figures.probes.failed < figures.probes.count, 'one of the two probes fails');
  assert.deepEqual([keys.size, tokens.size], [50, 2]);
});
