// A client that waits as long as it is told to: a platform with rate limits, or one that is just starting, is no failure.
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@glasshouse/shared/testing';
import type { Client } from '../support/shop.ts';

/** A refused request has changed nothing, so it may be made again, whatever its method. */
const REFUSED = [429, 503];

/**
 * @param baseUrl the gateway's base URL
 * @param patienceMs how long one call may wait in all; then the refusal is its answer
 */
export function createPatientClient(baseUrl: string, patienceMs = 90_000): Client {
  const call = createClient(baseUrl);
  return async (method, path, options) => {
    const endsAt = performance.now() + patienceMs;
    for (;;) {
      const reply = await call(method, path, options);
      const waitMs = Number(reply.headers.get('retry-after') ?? Number.NaN) * 1_000;
      // Written so that an answer without a time to wait is final.
      if (!REFUSED.includes(reply.status) || !(performance.now() + waitMs < endsAt)) return reply;
      await sleep(waitMs);
    }
  };
}
