// `npm run trace`: places an order, takes the traces that the platform sends, and draws the order's. The platform has to be told to send them:
//   OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 npm start
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { drawTrace } from './draw.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from './receiver.ts';

const usage = 'npm run trace -- [--declined] [--statements] [--port 4318]: the trace of one order, as text.';
/** Services send what they have every few seconds. */
const QUIET_MS = 6_000;
const LONGEST_MS = 30_000;

class Failure extends Error {}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        declined: { type: 'boolean', default: false },
        statements: { type: 'boolean', default: false },
        port: { type: 'string', default: '4318' },
      },
    });
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error('--port is no port');
    return { isDeclined: values.declined, withStatements: values.statements, port };
  } catch (error) {
    throw new Failure(`${(error as Error).message}\n${usage}`);
  }
}

async function call(path: string, init: RequestInit = {}): Promise<{ accessToken: string; items: { id: string }[] }> {
  const base = process.env.BASE_URL ?? 'http://localhost:8080';
  const answer = await fetch(`${base}${path}`, init).catch(() => {
    throw new Failure(`Nobody answers at ${base}: is the platform running?`);
  });
  const body = (await answer.json()) as { accessToken: string; items: { id: string }[] };
  if (!answer.ok) throw new Failure(`${path} answered ${answer.status}: ${JSON.stringify(body)}`);
  return body;
}

/** @returns the trace's id: nobody else has begun it */
async function placeOrder(isDeclined: boolean): Promise<string> {
  const json = { 'content-type': 'application/json' };
  const login = JSON.stringify({ email: 'alice@example.com', password: 'alice-password' });
  const { accessToken } = await call('/api/v1/auth/login', { method: 'POST', headers: json, body: login });
  const { items } = await call('/api/v1/products?limit=1');
  const traceId = randomUUID().replaceAll('-', '');
  const spanId = traceId.slice(0, 16);
  await call('/api/v1/orders', {
    method: 'POST',
    headers: {
      ...json,
      authorization: `Bearer ${accessToken}`,
      'idempotency-key': traceId,
      traceparent: `00-${traceId}-${spanId}-01`,
    },
    body: JSON.stringify({
      items: [{ productId: items[0]?.id, quantity: 1 }],
      paymentMethod: isDeclined ? 'pm_card_chargeDeclined' : 'pm_card_visa',
      shippingAddress: {
        name: 'Alice',
        line1: '1 Main Street',
        city: 'Springfield',
        postalCode: '12345',
        country: 'US',
      },
    }),
  });
  return traceId;
}

/** Waits until nothing more comes of this trace. */
async function collect({ spans }: OtlpReceiver, traceId: string) {
  const endsAt = performance.now() + LONGEST_MS;
  let seen = 0;
  let changedAt = performance.now();
  while (performance.now() < endsAt && performance.now() - changedAt < QUIET_MS) {
    await delay(100);
    const { length } = spans.filter((span) => span.traceId === traceId);
    if (length !== seen) changedAt = performance.now();
    seen = length;
  }
  return spans.filter((span) => span.traceId === traceId);
}

try {
  const { isDeclined, withStatements, port } = readOptions();
  const receiver = await startOtlpReceiver(port).catch(() => {
    throw new Failure(
      `Port ${port} is taken, by a collector perhaps: look at the trace there, or choose another --port.`,
    );
  });
  let spans: ReceivedSpan[];
  try {
    spans = await collect(receiver, await placeOrder(isDeclined));
  } finally {
    await receiver.close();
  }
  if (spans.length === 0)
    throw new Failure(
      `No traces came. Start the platform so that it sends them here:\n  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:${port} npm start`,
    );
  console.log(drawTrace(spans, withStatements).join('\n'));
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
