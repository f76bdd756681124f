// How the client of the payment provider ends a call that nobody ends for it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { createPaymentProvider, ProviderError } from './payment-provider.ts';

test('payment provider: an answer that goes on without an end is no answer', { timeout: 30_000 }, async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.once('data', () =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n{'),
    );
    const drip = setInterval(() => socket.write(' '), 50);
    socket.on('error', () => {}).on('close', () => clearInterval(drip));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const provider = createPaymentProvider({ apiKey: 'k', apiUrl: `http://127.0.0.1:${port}`, timeoutMs: 1_000 });
  try {
    await assert.rejects(
      provider.retrieveIntent('pi_1'),
      (error) => error instanceof ProviderError && error.fault === 'no-answer',
    );
  } finally {
    provider.stop();
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});
