// When and how a call to the provider that failed is tried again.
import { backoffMs } from '@glasshouse/shared/resilience';
import { ProviderError } from '../clients/payment-provider.ts';

export interface Retry {
  seconds: number;
  nextKey: boolean;
  isFailure: boolean;
}

const LONGEST_PAUSE_MS = 10_000;

/** What the provider has not decided yet is asked for again soon. */
export const askAgainSoon: Retry = { seconds: 1, nextKey: false, isFailure: false };

/**
 * A new key only where the call that was answered had one: the provider stores its 5xx and its refusals under it, and would give them again
 * when the cause is put right. Of a call with the present key that nobody has answered yet, a new one would make a second charge or refund.
 * @param failures how many tries have failed before
 */
export function retryAfter(error: unknown, failures: number): Retry {
  const fault = error instanceof ProviderError ? error.fault : 'no-answer';
  return {
    seconds: (500 + backoffMs(failures, 1_000, LONGEST_PAUSE_MS)) / 1_000,
    nextKey: ['server-error', 'refused'].includes(fault) && error instanceof ProviderError && error.hadKey,
    isFailure: fault !== 'not-called',
  };
}
