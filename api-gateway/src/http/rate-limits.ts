// How often one user or one address may call: counted in this process, told in the headers of draft 8.

import type { TokenVerifier } from '@glasshouse/shared/auth';
import { authenticate } from '@glasshouse/shared/http';
import type { Request, RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import { rateLimitExceeded } from './problems.ts';

const WINDOW_MS = 60_000;

/** An IPv4 address, or the /56 that an IPv6 address belongs to: that much one subscriber has. */
const addressOf = (request: Request) => ipKeyGenerator(request.ip ?? '');

function limitTo(perMinute: number, keyOf: (request: Request) => string | Promise<string>): RequestHandler[] {
  // The library would block everything at 0, where we mean "no limit".
  if (perMinute === 0) return [];
  return [
    rateLimit({
      windowMs: WINDOW_MS,
      limit: perMinute,
      standardHeaders: 'draft-8',
      legacyHeaders: false,
      keyGenerator: keyOf,
      handler: (_request, _response, next) => next(rateLimitExceeded()),
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
 */
export function createRateLimits(options: {
  generalPerMinute: number;
  authPerMinute: number;
  verifier: TokenVerifier;
}): RateLimits {
  const { generalPerMinute, authPerMinute, verifier } = options;
  return {
    auth: limitTo(authPerMinute, addressOf),
    general: limitTo(generalPerMinute, async (request) => {
      if (request.get('authorization') === undefined) return addressOf(request);
      // Only to know whose request it is: a bad token is refused after the limit, or guessing tokens would be free.
      const identity = await authenticate(request, 'user', verifier).catch(() => undefined);
      return identity?.userId ?? addressOf(request);
    }),
  };
}
