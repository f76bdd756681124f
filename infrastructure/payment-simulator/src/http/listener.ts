// From a request on the wire to an answer on the wire; what the calls mean is behind the routes.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, invalid, ok, refusal, serverError } from '../answer.ts';
import { newId } from '../identity.ts';
import type { Moods } from '../moods.ts';
import { createKeyCheck } from './authorization.ts';
import { type Call, type SealedAnswer, seal } from './door.ts';
import { parseForm } from './parameters.ts';
import { findRoute } from './routes.ts';

const maxBodyBytes = 100_000;

export type ListenerOptions = {
  readonly apiKey: string;
  readonly ledgerKey: string;
  readonly moods: Moods;
  readonly answerCall: (call: Call) => Promise<SealedAnswer | 'dropped'>;
  readonly isDraining: () => boolean;
};

/** Answers requests, every error in Stripe's shape: 401, 404 (unknown URL), 415, 413, then what the call itself says. */
export function createListener({ apiKey, ledgerKey, moods, answerCall, isDraining }: ListenerOptions) {
  const holdsApiKey = createKeyCheck(apiKey);
  const holdsLedgerKey = createKeyCheck(ledgerKey);

  return async function listener(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const requestId = newId('req');
    try {
      const answer = await answerRequest(request, requestId);
      if (answer === 'dropped') return void request.socket.destroy();
      if (isDraining()) response.shouldKeepAlive = false;
      write(request, response, requestId, answer);
    } catch (error) {
      // Nobody is left to answer where the client went away in the middle of its request.
      if (request.destroyed && !request.complete) return;
      console.error(`${requestId} ${request.method} failed:`, error);
      write(request, response, requestId, seal(serverError()));
    }
  };

  async function answerRequest(request: IncomingMessage, requestId: string): Promise<SealedAnswer | 'dropped'> {
    const { method = '', headers } = request;
    const [path = '', query = ''] = (request.url ?? '').split('?', 2);
    if (method === 'GET' && path === '/health') return seal(ok({ status: 'ok' }));
    if (method === 'GET' && path === '/ready') {
      return seal(isDraining() ? { status: 503, body: { status: 'draining' } } : ok({ status: 'ok' }));
    }
    const isOfStripe = path.startsWith('/v1/');
    if (isOfStripe && moods.take(({ mood }) => mood === 'down')) return 'dropped';
    const holdsKey = path === '/ledger' ? holdsLedgerKey : holdsApiKey;
    if (!holdsKey(headers)) return seal(unauthenticated());
    const route = findRoute(method, path);
    if (route === undefined) return seal(invalid(`There is no ${method} ${path} here.`, {}, 404));

    const body = method === 'GET' ? '' : await readBody(request);
    if (body === undefined) return seal(invalid(`A request has at most ${maxBodyBytes} bytes.`, {}, 413));
    const type = headers['content-type'] ?? '';
    if (body !== '' && !type.startsWith('application/x-www-form-urlencoded')) {
      return seal(invalid('The body must be of the type application/x-www-form-urlencoded.', {}, 415));
    }
    const takesKey = method === 'POST' && isOfStripe;
    const idempotencyKey = (takesKey && header(request, 'idempotency-key')) || undefined;
    const parameters = parseForm([query, body].filter((part) => part !== '').join('&'));
    return answerCall({ ...route, path, parameters, idempotencyKey, requestId });
  }
}

const unauthenticated = (): Answer =>
  refusal(401, {
    type: 'invalid_request_error',
    message: 'The API key is missing or wrong. Present it as a bearer token or in Basic authentication.',
  });

/** The body, or undefined where it is too long. */
function readBody(request: IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBodyBytes) chunks.push(chunk);
      else resolve(undefined);
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString()));
    request.on('error', reject);
  });
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' ? value : value?.[0];
}

function write(request: IncomingMessage, response: ServerResponse, requestId: string, answer: SealedAnswer): void {
  const version = header(request, 'stripe-version');
  const idempotencyKey = header(request, 'idempotency-key');
  response.writeHead(answer.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(answer.body),
    'request-id': requestId,
    ...(version && { 'stripe-version': version }),
    ...(idempotencyKey && { 'idempotency-key': idempotencyKey }),
    ...(answer.originalRequestId && { 'idempotent-replayed': 'true', 'original-request': answer.originalRequestId }),
    ...(answer.status === 401 && { 'www-authenticate': 'Basic realm="payment-simulator"' }),
    ...(answer.status === 413 && { connection: 'close' }),
  });
  response.end(answer.body);
}
