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
 * A new key only where the call that was answered had one, and the provider gives the same answer to whatever comes with that key. It stores
 * its 5xx; its refusals not all (those of parameters, say, are not), so one is known to be stored when it comes again as a replay. Of a call
 * with the present key that nobody has answered yet, a new one would make a second charge or refund.
 * https://docs.stripe.com/api/idempotent_requests
 * @param failures how many tries have failed before
 */
export function retryAfter(error: unknown, failures: number): Retry {
  const { fault, hadKey, isReplay } =
    error instanceof ProviderError ? error : { fault: 'no-answer', hadKey: false, isReplay: false };
  const isStoredRefusal = fault === 'refused' && isReplay;
  return {
    // An old refusal says nothing of now.
    seconds: isStoredRefusal ? 0 : (500 + backoffMs(failures, 1_000, LONGEST_PAUSE_MS)) / 1_000,
    nextKey: hadKey && (fault === 'server-error' || isStoredRefusal),
    isFailure: fault !== 'not-called' && !isStoredRefusal,
  };
}
