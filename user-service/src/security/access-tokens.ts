// Access tokens: RS256 JWTs in the profile of RFC 9068, as every service's verifier wants them.
import { randomUUID } from 'node:crypto';
import { ACCESS_TOKEN_TYPE } from '@glasshouse/shared/auth';
import type { Db } from '@glasshouse/shared/postgres';
import jwt from 'jsonwebtoken';
import type { User } from '../domain/user.ts';
import type { SigningKeys } from './signing-keys.ts';

export interface AccessTokens {
  /** How long a token lives, in seconds. */
  ttlS: number;
  issue(db: Db, user: User): Promise<string>;
}

/** @param ttlS in seconds */
export function createAccessTokens(options: {
  issuer: string;
  audience: string;
  ttlS: number;
  signingKeys: SigningKeys;
}): AccessTokens {
  const { issuer, audience, ttlS, signingKeys } = options;
  return {
    ttlS,
    async issue(db, { id, roles }) {
      const { kid, privateKey } = await signingKeys.current(db);
      return jwt.sign({ roles }, privateKey, {
        algorithm: 'RS256',
        header: { alg: 'RS256', typ: ACCESS_TOKEN_TYPE, kid },
        issuer,
        audience,
        subject: id,
        expiresIn: ttlS,
        jwtid: randomUUID(),
      });
    },
  };
}
