// The service behind the proxies that are compared: it answers every request with the same order, and does nothing else.
import { createServer } from 'node:http';

const order = JSON.stringify({
  id: '019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10',
  userId: '019c0f3e-7a10-7c3e-9d41-5b1f6f0a2c01',
  status: 'confirmed',
  items: [
    {
      productId: '019b8d2b-8c00-7af8-b33f-d5143135f3c8',
      name: 'Enamel Kettle',
      quantity: 2,
      unitPrice: { amount: 4900, currency: 'USD' },
      lineTotal: { amount: 9800, currency: 'USD' },
    },
  ],
  total: { amount: 9800, currency: 'USD' },
  paymentMethod: 'pm_card_visa',
  createdAt: '2026-11-21T10:15:00.000Z',
  updatedAt: '2026-11-21T10:15:01.000Z',
});
const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(order) };

createServer({ keepAliveTimeout: 600_000 }, (_request, response) => {
  response.writeHead(200, headers).end(order);
}).listen(Number(process.argv[2]), '127.0.0.1');
