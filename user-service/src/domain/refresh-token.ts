// Refresh tokens rotate: each is good for one use, and one that is used again gives its whole family away as stolen
// (RFC 9700, section 4.14.2).
import { createHash, randomBytes } from 'node:crypto';

/** A refresh token as the database knows it, with what its family's row says. */
export interface RefreshToken {
  familyId: string;
  userId: string;
  isSpent: boolean;
  isRevoked: boolean;
  isExpired: boolean;
}

/** What becomes of a token that is presented: `reuse` means that two hold it, and one of them has no right to. */
export function judge(token: RefreshToken | undefined): 'rotate' | 'refuse' | 'reuse' {
  if (token === undefined || token.isRevoked || token.isExpired) return 'refuse';
  return token.isSpent ? 'reuse' : 'rotate';
}

/** 256 random bits, base64url. */
export const newRefreshToken = () => randomBytes(32).toString('base64url');

/** What is stored of it. A token this random needs no slow hash and no salt. */
export const hashOf = (refreshToken: string) => createHash('sha256').update(refreshToken).digest();

export interface TokenPair {
  accessToken: string;
  refreshToken: string;
}
