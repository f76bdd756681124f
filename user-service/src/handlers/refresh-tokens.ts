// A new pair of tokens for a refresh token, which is spent by it.
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockRefreshToken, replaceRefreshToken, revokeFamily } from '../data/refresh-token-repository.ts';
import { findUser } from '../data/user-repository.ts';
import type { Deps } from '../deps.ts';
import { refreshTokenRefused, userNotFound } from '../domain/errors.ts';
import { hashOf, judge, newRefreshToken, type TokenPair } from '../domain/refresh-token.ts';

export interface RefreshTokens {
  refreshToken: string;
}

/** @throws AppError `unauthenticated` where the token is unknown, spent, expired or revoked */
export async function refreshTokens({ refreshToken }: RefreshTokens, deps: Deps): Promise<TokenPair> {
  const { db, accessTokens, refreshTokenTtlS: ttlS, logger } = deps;
  const hash = hashOf(refreshToken);
  const pair = await inTransaction(db, async (tx) => {
    const token = await lockRefreshToken(tx, hash);
    const verdict = judge(token);
    if (token === undefined || verdict === 'refuse') return undefined;
    if (verdict === 'reuse') {
      const { familyId, userId } = token;
      await revokeFamily(tx, familyId);
      tx.afterCommit(() => logger.warn('a spent refresh token came again: the login is void', { userId, familyId }));
      return undefined;
    }
    const user = await findUser(tx, token.userId);
    if (user === undefined) throw userNotFound();
    const next = newRefreshToken();
    await replaceRefreshToken(tx, { familyId: token.familyId, hash, nextHash: hashOf(next), ttlS });
    return { accessToken: await accessTokens.issue(tx, user), refreshToken: next };
  });
  // Not inside: the error would undo the revocation.
  if (pair === undefined) throw refreshTokenRefused();
  return pair;
}
