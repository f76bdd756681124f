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
}

/** @throws AppError `unauthenticated`, the same and after the same work for an unknown e-mail address and a wrong password */
export async function logIn({ email, password }: LogIn, deps: Deps): Promise<TokenPair> {
  const { db, passwords, accessTokens, refreshTokenTtlS: ttlS } = deps;
  const found = await findCredentials(db, email);
  const isRight = await passwords.verify(password, found?.passwordHash);
  if (found === undefined || !isRight) throw wrongCredentials();
  const accessToken = await accessTokens.issue(db, found.user);
  const refreshToken = newRefreshToken();
  await insertFamily(db, { id: randomUUIDv7(), userId: found.user.id, hash: hashOf(refreshToken), ttlS });
  return { accessToken, refreshToken };
}
