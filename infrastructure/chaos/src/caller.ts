// Calls the gateways as a real client does: with a time limit, and again where there is no answer or one that says "not now".
import { setTimeout as delay } from 'node:timers/promises';

/** A little more than the gateway takes to give up on a service. */
const CALL_TIMEOUT_MS = 12_000;
/** How long a customer goes on trying. */
const PATIENCE_MS = 120_000;
const PAUSE_MS = { first: 100, longest: 2_000 };

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers of every call
  body: any;
  retryAfterMs: number | undefined;
}

/** How a call ended without an answer: nobody took it, it took too long, the connection was lost meanwhile, or the customer did not wait for it. */
export type NoAnswer = 'refused' | 'timed out' | 'lost' | 'hung up';

export interface Request {
  method: string;
  path: string;
  token?: string;
  /** Idempotency-Key. */
  key?: string;
  body?: unknown;
}

/** The body of an order. */
export const orderOf = (items: readonly { productId: string; quantity: number }[], paymentMethod = 'pm_card_visa') => ({
  items,
  paymentMethod,
  shippingAddress: {
    name: 'A Customer',
    line1: '1 Main Street',
    city: 'Springfield',
    postalCode: '12345',
    country: 'US',
  },
});

/** One call to a gateway. */
export async function callOnce(url: string, request: Request, timeoutMs = CALL_TIMEOUT_MS): Promise<Answer | NoAnswer> {
  const { method, path, token, key, body } = request;
  try {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(key !== undefined && { 'idempotency-key': key }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    const retryAfter = response.headers.get('retry-after');
    return {
      status: response.status,
      body: text === '' ? undefined : JSON.parse(text),
      retryAfterMs: retryAfter === null ? undefined : Number(retryAfter) * 1000,
    };
  } catch (error) {
    const { name, cause } = error as { name: string; cause?: { code?: string } };
    if (name === 'TimeoutError') return 'timed out';
    return cause?.code === 'ECONNREFUSED' ? 'refused' : 'lost';
  }
}

/** Whether an answer is final: one of 429, 500 or more says "not now". */
const isFinal = ({ status }: Answer) => status < 500 && status !== 429;

export interface Patience {
  /** Told of every answer, and of every call that got none. */
  seen?: (answer: Answer | NoAnswer) => void;
  /** After how many milliseconds this call is given up and made anew at once; `undefined`: as long as usual. */
  hangsUpAfter?: () => number | undefined;
  /** Called where the token is refused. @returns the token to go on with */
  logInAnew?: () => Promise<string>;
  signal?: AbortSignal;
}

/**
 * Calls one gateway after the other until there is an answer that is final.
 * @param turn which of the gateways comes first
 * @returns undefined where patience has ended
 */
export async function callPatiently(
  urls: readonly string[],
  turn: number,
  request: Request,
  patience: Patience = {},
): Promise<Answer | undefined> {
  const { seen, hangsUpAfter, logInAnew, signal } = patience;
  const givesUpAt = performance.now() + PATIENCE_MS;
  let { token } = request;
  let pause = PAUSE_MS.first;
  for (let attempt = turn; performance.now() < givesUpAt && !signal?.aborted; attempt += 1) {
    const limitMs = hangsUpAfter?.();
    const sent = { ...request, ...(token !== undefined && { token }) };
    const answer = await callOnce(urls[attempt % urls.length] ?? '', sent, limitMs);
    seen?.(answer === 'timed out' && limitMs !== undefined ? 'hung up' : answer);
    if (typeof answer === 'object') {
      // The token has run out; or somebody's clock says so, and then the next one is no better, for a while.
      if (answer.status === 401 && logInAnew !== undefined) token = await logInAnew();
      else if (isFinal(answer)) return answer;
    } else if (limitMs !== undefined) continue;
    const asked = typeof answer === 'object' ? (answer.retryAfterMs ?? 0) : 0;
    await delay(Math.max(pause * (0.5 + Math.random()), asked));
    pause = Math.min(pause * 2, PAUSE_MS.longest);
  }
  return undefined;
}
