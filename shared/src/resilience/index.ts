// Waiting, backing off, taking turns, and calling another service without being dragged down by it.
import { setTimeout as delay } from 'node:timers/promises';
import { context, propagation } from '@opentelemetry/api';
import CircuitBreaker from 'opossum';
import { AppError } from '../errors/index.ts';
import { currentCause } from '../telemetry/context.ts';

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
  return breaker;
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
      async (path: string, headers: Record<string, string>): Promise<ServiceResponse> => {
        const response = await fetch(base + path, {
          headers,
          signal: AbortSignal.timeout(timeoutMs),
          redirect: 'error',
        });
        const text = await response.text();
        if (response.status >= 500) throw new Error(`${name} answered ${response.status}`);
        return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
      },
    ),
  );
  let turn = 0;
  let inFlight = 0;

  return {
    async get(path, headers = {}) {
      if (inFlight >= maxConcurrent) throw unavailable();
      const carried: Record<string, string> = { ...headers, 'x-request-id': currentCause().correlationId };
      propagation.inject(context.active(), carried);
      inFlight += 1;
      try {
        let failure: unknown;
        for (let attempt = 0; attempt < attempts; attempt += 1) {
          const breaker = breakers[turn++ % breakers.length];
          if (breaker === undefined) break;
          try {
            return await breaker.fire(path, carried);
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
