// Access tokens: RS256 JWTs, verified locally by every service against the public keys that user-service publishes (RFC 7517, RFC 9068).
import { createPublicKey, hash, type KeyObject, type webcrypto } from 'node:crypto';
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

/** The id of an RSA key: its thumbprint (RFC 7638: SHA-256 of these members, in this order and without spaces). */
export const keyIdOf = ({ e, kty, n }: webcrypto.JsonWebKey) =>
  hash('sha256', JSON.stringify({ e, kty, n }), 'base64url');
const keyIdPattern = /^[A-Za-z0-9_-]{43}$/;

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
/** What a client is told to wait where the keys can't be had. */
const RETRY_AFTER_MS = 5_000;
const FETCH_TIMEOUT_MS = 3_000;
const REMEMBERED_TOKENS = 10_000;

export const invalidToken = (message: string) => new AppError('unauthenticated', 'token.invalid', message);
export const keysUnavailable = (retryAfterMs: number) =>
  new AppError('unavailable', 'keys.unavailable', "The keys to check tokens with can't be had right now.", {
    retryAfterS: Math.max(1, Math.ceil(retryAfterMs / 1000)),
  });

/**
 * What a token says of itself, unchecked.
 * @throws AppError `unauthenticated` where it is no JWT
 */
function decode(token: string): jwt.Jwt {
  try {
    const decoded = jwt.decode(token, { complete: true });
    if (decoded !== null) return decoded;
  } catch {
    // The library lets the parser's error through where the payload is not JSON.
  }
  throw invalidToken('The token is not a JWT.');
}

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
 * Keeps the keys it has when user-service is gone. Unknown key ids lead to at most one fetch in 10 s, beside those that
 * are made anyway. An id that came too soon to be looked for is told to come again: it may be a brand-new key's.
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
  /** The key id that last caused a fetch, and when. */
  let sought = { kid: '', at: Number.NEGATIVE_INFINITY };
  let lastFetchFailed = false;
  let fetching: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const fetchOnce = (): Promise<void> => {
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
    // One that is under way may bring it, or may have begun before there was this key.
    await fetching;
    if (!keys?.has(kid) && performance.now() - sought.at >= REFETCH_INTERVAL_MS) {
      sought = { kid, at: performance.now() };
      void fetchOnce();
    }
    // Ours, or what another unknown key id has caused meanwhile.
    await fetching;
    const found = keys?.get(kid);
    if (found !== undefined) return found;
    if (keys === undefined || lastFetchFailed) throw keysUnavailable(RETRY_AFTER_MS);
    // Not looked for since it came: a 401 might be wrong and log somebody out. What is no thumbprint is none of our keys'.
    if (kid !== sought.kid && keyIdPattern.test(kid))
      throw keysUnavailable(sought.at + REFETCH_INTERVAL_MS - performance.now());
    throw invalidToken('The token is signed with an unknown key.');
  };

  return {
    name: 'token verifier',
    hasKeys: () => keys !== undefined,
    async verify(token) {
      const key = hash('sha256', token, 'base64');
      const known = remembered.get(key);
      if (known !== undefined) {
        if (known.expiresAt > Date.now()) return known.identity;
        remembered.delete(key);
        throw invalidToken('The token has expired.');
      }
      const { header, payload: claimed } = decode(token);
      // Looked at before the key, so that a token that is refused in any case costs no fetch: one of a kind that we never
      // sign, or of a key that is gone because all its tokens have expired.
      if (header.alg !== 'RS256' || header.typ !== ACCESS_TOKEN_TYPE || typeof header.kid !== 'string')
        throw invalidToken('The token is not an access token of this platform.');
      if (typeof claimed === 'object' && Number(claimed.exp) * 1000 <= Date.now())
        throw invalidToken('The token has expired.');
      const publicKey = await keyFor(header.kid);
      let payload: unknown;
      try {
        payload = jwt.verify(token, publicKey, { algorithms: ['RS256'], issuer, audience });
      } catch (error) {
        throw invalidToken(
          error instanceof jwt.TokenExpiredError ? 'The token has expired.' : 'The token is not valid.',
        );
      }
      const claims = claimsSchema.safeParse(payload);
      if (!claims.success) throw invalidToken('The token lacks a claim.');
      const identity: Identity = { userId: claims.data.sub, roles: claims.data.roles };
      if (remembered.size >= REMEMBERED_TOKENS) {
        const [oldest] = remembered.keys();
        if (oldest !== undefined) remembered.delete(oldest);
      }
      remembered.set(key, { identity, expiresAt: claims.data.exp * 1000 });
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
