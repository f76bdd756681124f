// Somebody logs in: a pair of tokens for an e-mail address and its password.
import { randomUUIDv7 } from 'node:crypto';
import { insertFamily } from '../data/refresh-token-repository.ts';
import { findCredentials } from '../data/user-repository.ts';
import type { Deps } from '../deps.ts';
import { wrongCredentials } from '../domain/errors.ts';
import { hashOf, newRefreshToken, type TokenPair } from '../domain/refresh-token.ts';

export interface LogIn {
  email: string;
  password: string;
  clientIp: string;
}

type LogInDeps = Pick<Deps, 'db' | 'passwords' | 'loginGuard' | 'accessTokens' | 'refreshTokenTtlS'>;

/**
 * @throws AppError `unauthenticated`, the same and after the same work for an unknown e-mail address and a wrong password;
 *   `throttled` where too many logins have failed, before any password is looked at
 */
export async function logIn({ email, password, clientIp }: LogIn, deps: LogInDeps): Promise<TokenPair> {
  const { db, passwords, loginGuard, accessTokens, refreshTokenTtlS: ttlS } = deps;
  const attempt = await loginGuard.admit(db, { email, clientIp });
  const found = await findCredentials(db, email);
  const isRight = await passwords.verify(password, found?.passwordHash);
  if (found === undefined || !isRight) {
    await loginGuard.fail(db, attempt);
    throw wrongCredentials();
  }
  await loginGuard.succeed(db, attempt);
  const accessToken = await accessTokens.issue(db, found.user);
  const refreshToken = newRefreshToken();
  await insertFamily(db, { id: randomUUIDv7(), userId: found.user.id, hash: hashOf(refreshToken), ttlS });
  return { accessToken, refreshToken };
}
