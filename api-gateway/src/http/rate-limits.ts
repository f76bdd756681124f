// How often one user or one address may call: counted in this process or by all copies together, told in the headers of draft 8.
import type { TokenVerifier } from '@glasshouse/shared/auth';
import { authenticate } from '@glasshouse/shared/http';
import { counter } from '@glasshouse/shared/telemetry';
import type { Request, RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import type { SharedCounts } from '../clients/shared-counts.ts';
import { clientAddress } from './client-address.ts';
import { rateLimitExceeded } from './problems.ts';

const WINDOW_MS = 60_000;
const refusals = counter(
  'glasshouse.rate_limit.refusals',
  '{request}',
  'Requests refused because their limit was reached.',
);

/** An IPv4 address, or the /56 that an IPv6 address belongs to: that much one subscriber has. */
const addressOf = (request: Request) => ipKeyGenerator(clientAddress(request));

function limitTo(
  name: string,
  perMinute: number,
  shared: SharedCounts | undefined,
  keyOf: (request: Request) => string | Promise<string>,
): RequestHandler[] {
  // The library would block everything at 0, where we mean "no limit".
  if (perMinute === 0) return [];
  refusals.startWith([{ limit: name }]);
  return [
    rateLimit({
      windowMs: WINDOW_MS,
      limit: perMinute,
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      keyGenerator: keyOf,
      ...(shared !== undefined && { store: shared.storeOf(name) }),
      handler: (_request, _response, next) => {
        refusals.count({ limit: name });
        next(rateLimitExceeded());
      },
    }),
  ];
}

export interface RateLimits {
  /** Empty where there is no limit. */
  general: RequestHandler[];
  auth: RequestHandler[];
}

/**
 * @param generalPerMinute for each signed-in user, else for each address
 * @param authPerMinute for each address
 * @param shared where all copies count together; without it each counts for itself
 */
export function createRateLimits(options: {
  generalPerMinute: number;
  authPerMinute: number;
  verifier: TokenVerifier;
  shared: SharedCounts | undefined;
}): RateLimits {
  const { generalPerMinute, authPerMinute, verifier, shared } = options;
  return {
    auth: limitTo('auth', authPerMinute, shared, addressOf),
    general: limitTo('general', generalPerMinute, shared, async (request) => {
      if (request.get('authorization') === undefined) return addressOf(request);
      // Only to know whose request it is: a bad token is refused after the limit, or guessing tokens would be free.
      const identity = await authenticate(request, 'user', verifier).catch(() => undefined);
      return identity?.userId ?? addressOf(request);
    }),
  };
}
