// Waiting, backing off, taking turns, and calling another service without being dragged down by it.
import { setTimeout as delay } from 'node:timers/promises';
import CircuitBreaker from 'opossum';
import { AppError } from '../errors/index.ts';
import {
  counter,
  currentCause,
  errorTypeOf,
  gauge,
  inSpan,
  recordHttpCall,
  SpanKind,
  statusOf,
} from '../telemetry/index.ts';

export * from './idempotency.ts';

/**
 * Exponential back-off with full jitter (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/).
 * @param attempt from 0
 * @returns milliseconds
 */
export function backoffMs(attempt: number, baseMs: number, maxMs: number): number {
  return Math.random() * Math.min(maxMs, baseMs * 2 ** attempt);
}

/** Runs one piece of work at a time, in the order of asking. */
export function createSerialQueue(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}

/**
 * A breaker that opens when half of at least five calls within 10 s failed, and tries again after `resetMs`.
 * @param options `timeoutMs` for one call; without it the call has to have one itself, for a call that never ends keeps a half-open breaker so
 */
export function createBreaker<A extends unknown[], R>(
  name: string,
  call: (...args: A) => Promise<R>,
  options: { resetMs?: number; timeoutMs?: number; countsAsFailure?: (error: unknown) => boolean } = {},
): CircuitBreaker<A, R> {
  const { countsAsFailure } = options;
  const breaker = new CircuitBreaker<A, R>(call, {
    name,
    timeout: options.timeoutMs ?? false,
    resetTimeout: options.resetMs ?? 1_000,
    errorThresholdPercentage: 50,
    volumeThreshold: 5,
    // Nobody reads them, and they are sorted once a second.
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
    ...(countsAsFailure && { errorFilter: (error: unknown) => !countsAsFailure(error) }),
  });
  gauge('glasshouse.breaker.state', '1', 'Which state a circuit breaker is in: 1, the others 0.', () => {
    const current = breaker.closed ? 'closed' : breaker.halfOpen ? 'half-open' : 'open';
    return ['closed', 'half-open', 'open'].map((state) => [Number(state === current), { breaker: name, state }]);
  });
  return breaker;
}

const refusals = counter('glasshouse.bulkhead.refusals', '{request}', 'Calls refused because too many were under way.');

/** Tells how full a bulkhead is. @returns what is to be called for each refusal */
export function observeBulkhead(bulkhead: string, limit: number, inFlight: () => number): () => void {
  gauge('glasshouse.bulkhead.in_flight', '{request}', 'Calls under way.', () => [[inFlight(), { bulkhead }]]);
  gauge('glasshouse.bulkhead.limit', '{request}', 'Calls that may be under way.', () => [[limit, { bulkhead }]]);
  refusals.startWith([{ bulkhead }]);
  return () => refusals.count({ bulkhead });
}

/** Whether an error is a breaker's refusal, made without a call. */
export function isBreakerOpen(error: unknown): boolean {
  return (error as { code?: string } | null)?.code === 'EOPENBREAKER';
}

export interface ServiceResponse {
  status: number;
  body: unknown;
}

export interface ServiceClient {
  /** GET with the present trace and request id; throws AppError `unavailable` when no copy answers. A 4xx is an answer. */
  get(path: string, headers?: Record<string, string>): Promise<ServiceResponse>;
}

/**
 * A call over HTTP as those who watch see it: a span, by https://opentelemetry.io/docs/specs/semconv/http/http-spans/, and its duration.
 * @param url where the call goes; of it only the address is told
 * @param template the path with names in place of ids, where there is one
 */
export async function observeHttpCall<T>(
  method: string,
  url: string | URL,
  call: () => Promise<T>,
  template?: string,
): Promise<T> {
  const { hostname, port, protocol } = typeof url === 'string' ? new URL(url) : url;
  const attributes = {
    'http.request.method': method,
    'server.address': hostname,
    'server.port': Number(port || (protocol === 'https:' ? 443 : 80)),
    ...(template !== undefined && { 'url.template': template }),
  };
  const name = template === undefined ? method : `${method} ${template}`;
  const startedAt = performance.now();
  return inSpan({ name, kind: SpanKind.CLIENT, attributes }, async (span) => {
    const record = (outcome: Record<string, string | number>) => {
      span.setAttributes(outcome);
      recordHttpCall((performance.now() - startedAt) / 1000, { ...attributes, ...outcome });
    };
    try {
      const answer = await call();
      const status = statusOf(answer);
      record(status === undefined ? {} : { 'http.response.status_code': status });
      return answer;
    } catch (error) {
      const status = statusOf(error);
      record({
        'error.type': errorTypeOf(error),
        ...(status !== undefined && { 'http.response.status_code': status }),
      });
      throw error;
    }
  });
}

/**
 * A client for another service's safe calls: each copy has its own breaker; a failed try goes to the next copy, after a jittered pause.
 * @param urls base URLs, one for each copy
 * @param timeoutMs for one try
 * @param maxConcurrent calls in flight (the bulkhead); more are refused at once
 */
export function createServiceClient(options: {
  name: string;
  urls: string[];
  timeoutMs: number;
  attempts?: number;
  maxConcurrent?: number;
}): ServiceClient {
  const { name, urls, timeoutMs, attempts = 3, maxConcurrent = 50 } = options;
  const unavailable = (cause?: unknown) =>
    new AppError('unavailable', `${name}.unavailable`, `${name} can't be asked right now.`, { cause, retryAfterS: 1 });

  const breakers = urls.map((base) =>
    createBreaker(
      `${name} ${base}`,
      (path: string, headers: Record<string, string>): Promise<ServiceResponse> =>
        observeHttpCall('GET', base, async () => {
          const { correlationId, traceparent } = currentCause();
          const response = await fetch(base + path, {
            headers: { ...headers, 'x-request-id': correlationId, traceparent },
            signal: AbortSignal.timeout(timeoutMs),
            redirect: 'error',
          });
          const text = await response.text();
          if (response.status >= 500)
            throw Object.assign(new Error(`${name} answered ${response.status}`), { status: response.status });
          return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
        }),
    ),
  );
  let turn = 0;
  let inFlight = 0;
  const countRefusal = observeBulkhead(name, maxConcurrent, () => inFlight);

  return {
    async get(path, headers = {}) {
      if (inFlight >= maxConcurrent) {
        countRefusal();
        throw unavailable();
      }
      inFlight += 1;
      try {
        let failure: unknown;
        for (let attempt = 0; attempt < attempts; attempt += 1) {
          const breaker = breakers[turn++ % breakers.length];
          if (breaker === undefined) break;
          try {
            return await breaker.fire(path, headers);
          } catch (error) {
            failure = error;
            if (attempt + 1 < attempts) await delay(backoffMs(attempt, 50, 500));
          }
        }
        throw unavailable(failure);
      } finally {
        inFlight -= 1;
      }
    },
  };
}
