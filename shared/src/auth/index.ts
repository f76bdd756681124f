// Access tokens: RS256 JWTs, verified locally by every service against the public keys that user-service publishes (RFC 7517, RFC 9068).
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { z } from 'zod';
import { AppError } from '../errors/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { backoffMs } from '../resilience/index.ts';

export const ACCESS_TOKEN_TYPE = 'at+jwt';
export const roles = ['customer', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Who makes a request. */
export interface Identity {
  userId: string;
  roles: Role[];
}

export const isAdmin = (identity: Identity) => identity.roles.includes('admin');

const jwksSchema = z.object({
  keys: z.array(z.looseObject({ kid: z.string(), kty: z.literal('RSA'), n: z.string(), e: z.string() })),
});
export type Jwks = z.output<typeof jwksSchema>;

const claimsSchema = z.object({ sub: z.uuid(), roles: z.array(z.enum(roles)), exp: z.number() });

export interface TokenVerifier extends Part {
  /**
   * Checks signature, algorithm, issuer, audience, type and expiry.
   * @throws AppError `unauthenticated`; `unavailable` where the key is unknown and the keys can't be had
   */
  verify(token: string): Promise<Identity>;
  /** Whether keys were fetched at least once. */
  hasKeys(): boolean;
}

const REFETCH_INTERVAL_MS = 10_000;
const REFRESH_INTERVAL_MS = 300_000;
const FETCH_TIMEOUT_MS = 3_000;
const REMEMBERED_TOKENS = 10_000;

const unauthenticated = (message: string) => new AppError('unauthenticated', 'token.invalid', message);

/** Fetches the key set from the first copy of user-service that answers. */
export function jwksOverHttp(userServiceUrls: string[]): () => Promise<Jwks> {
  return async () => {
    let failure: unknown;
    for (const base of userServiceUrls) {
      try {
        const response = await fetch(`${base}/.well-known/jwks.json`, {
          signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
        });
        if (response.ok) return jwksSchema.parse(await response.json());
        failure = new Error(`${base} answered ${response.status}`);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  };
}

/**
 * Keeps the keys it has when user-service is gone. An unknown key id leads to at most one fetch in 10 s.
 * Tokens found good are remembered until they expire (bounded, by their hash), for an RSA check on every request is dear.
 * @param fetchKeys over HTTP, or from the database in user-service itself
 */
export function createTokenVerifier(options: {
  issuer: string;
  audience: string;
  fetchKeys: () => Promise<Jwks>;
  logger: Logger;
}): TokenVerifier {
  const { issuer, audience, fetchKeys, logger } = options;
  const remembered = new Map<string, { identity: Identity; expiresAt: number }>();
  let keys: Map<string, KeyObject> | undefined;
  let fetchedAt = Number.NEGATIVE_INFINITY;
  let lastFetchFailed = false;
  let fetching: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const fetchOnce = (): Promise<void> => {
    fetchedAt = performance.now();
    fetching ??= fetchKeys()
      .then((jwks) => {
        const fetched = new Map<string, KeyObject>();
        for (const key of jwks.keys) fetched.set(key.kid, createPublicKey({ key, format: 'jwk' }));
        // A token signed by a key that is gone must not live on in the memory.
        if (keys !== undefined && [...keys.keys()].some((kid) => !fetched.has(kid))) remembered.clear();
        keys = fetched;
        lastFetchFailed = false;
      })
      .catch((error) => {
        lastFetchFailed = true;
        logger.warn('the public keys could not be fetched', { error });
      })
      .finally(() => {
        fetching = undefined;
      });
    return fetching;
  };

  const schedule = (attempt: number) => {
    if (stopped) return;
    const pause = keys === undefined ? 200 + backoffMs(attempt, 200, 3_000) : REFRESH_INTERVAL_MS;
    timer = setTimeout(() => fetchOnce().then(() => schedule(attempt + 1)), pause);
    timer.unref();
  };

  const keyFor = async (kid: string): Promise<KeyObject> => {
    const known = keys?.get(kid);
    if (known !== undefined) return known;
    if (fetching !== undefined) await fetching;
    else if (performance.now() - fetchedAt >= REFETCH_INTERVAL_MS) await fetchOnce();
    const found = keys?.get(kid);
    if (found !== undefined) return found;
    if (keys === undefined || lastFetchFailed)
      throw new AppError('unavailable', 'keys.unavailable', "The keys to check tokens with can't be had right now.", {
        retryAfterS: 5,
      });
    throw unauthenticated('The token is signed with an unknown key.');
  };

  return {
    name: 'token verifier',
    hasKeys: () => keys !== undefined,
    async verify(token) {
      const hash = createHash('sha256').update(token).digest('base64');
      const known = remembered.get(hash);
      if (known !== undefined) {
        if (known.expiresAt > Date.now()) return known.identity;
        remembered.delete(hash);
        throw unauthenticated('The token has expired.');
      }
      const header = jwt.decode(token, { complete: true })?.header;
      if (header === undefined) throw unauthenticated('The token is not a JWT.');
      // Looked at before the key, so that a token of a kind that we never sign costs no fetch.
      if (header.alg !== 'RS256' || header.typ !== ACCESS_TOKEN_TYPE || typeof header.kid !== 'string')
        throw unauthenticated('The token is not an access token of this platform.');
      const key = await keyFor(header.kid);
      let payload: unknown;
      try {
        payload = jwt.verify(token, key, { algorithms: ['RS256'], issuer, audience });
      } catch (error) {
        throw unauthenticated(
          error instanceof jwt.TokenExpiredError ? 'The token has expired.' : 'The token is not valid.',
        );
      }
      const claims = claimsSchema.safeParse(payload);
      if (!claims.success) throw unauthenticated('The token lacks a claim.');
      const identity: Identity = { userId: claims.data.sub, roles: claims.data.roles };
      if (remembered.size >= REMEMBERED_TOKENS) {
        const [oldest] = remembered.keys();
        if (oldest !== undefined) remembered.delete(oldest);
      }
      remembered.set(hash, { identity, expiresAt: claims.data.exp * 1000 });
      return identity;
    },
    async start() {
      fetchOnce().then(() => schedule(0));
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
