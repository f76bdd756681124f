// Tokens that must not pass. Where the claims are wrong, the signature is the platform's own: a token that is refused for its signature proves nothing about its claims.
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createDatabase } from '@glasshouse/shared/postgres';
import jwt from 'jsonwebtoken';
import winston from 'winston';
import type { Platform } from '../../infrastructure/local/src/platform.ts';
import { loadKeysConfig } from '../../user-service/src/config.ts';
import { createSigningKeys, type SigningKey } from '../../user-service/src/security/signing-keys.ts';

/** The key that the platform signs with, from user-service's database. */
export async function readSigningKey({ keysEnv }: Pick<Platform, 'keysEnv'>): Promise<SigningKey> {
  const { DATABASE_URL, KEY_ENCRYPTION_KEY, ACCESS_TOKEN_TTL_S } = loadKeysConfig(keysEnv);
  const logger = winston.createLogger({ silent: true });
  const database = createDatabase({ url: DATABASE_URL, service: 'user-service', logger, maxConnections: 1 });
  try {
    const options = { database, encryptionKey: KEY_ENCRYPTION_KEY, accessTokenTtlS: ACCESS_TOKEN_TTL_S, logger };
    return await createSigningKeys(options).current(database);
  } finally {
    await database.stop();
  }
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * @param token a good one, of somebody whom the strictest call would let in
 * @param refreshToken the one that came with it
 * @returns `good`, made by the same means and with nothing wrong, and by name those that have one thing wrong
 */
export function forgeTokens(
  { kid, privateKey }: SigningKey,
  token: string,
  refreshToken: string,
): { good: string; forged: Record<string, string> } {
  const { header, payload } = jwt.decode(token, { complete: true }) ?? {};
  if (typeof payload !== 'object' || header === undefined) throw new Error('the token is no JWT');
  const signed = (claims: object, head: object = {}, key: KeyObject = privateKey) =>
    jwt.sign({ ...payload, ...claims }, key, { algorithm: 'RS256', header: { ...header, kid, alg: 'RS256', ...head } });
  const publicPem = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' });
  const [, , signature = ''] = token.split('.');
  const symmetric = `${encode({ ...header, alg: 'HS256' })}.${encode(payload)}`;
  const now = Math.floor(Date.now() / 1000);
  const { exp: _end, ...endless } = payload;
  return {
    good: signed({}),
    forged: {
      expired: signed({ iat: now - 1_000, exp: now - 1 }),
      'without an end': jwt.sign(endless, privateKey, { algorithm: 'RS256', header }),
      'of another issuer': signed({ iss: 'https://evil.example' }),
      'for another audience': signed({ aud: 'another-api' }),
      'of another type': signed({}, { typ: 'JWT' }),
      'alg none': `${encode({ ...header, alg: 'none' })}.${encode(payload)}.`,
      'HS256 with the public key': `${symmetric}.${createHmac('sha256', publicPem).update(symmetric).digest('base64url')}`,
      'of a stranger’s key': signed({}, {}, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
      'with other claims': `${encode(header)}.${encode({ ...payload, jti: 'mine' })}.${signature}`,
      'the refresh token': refreshToken,
    },
  };
}
