// Somebody logs out: the family of their refresh token ends. Access tokens live on until they expire.
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockRefreshToken, revokeFamily } from '../data/refresh-token-repository.ts';
import type { Deps } from '../deps.ts';
import { hashOf } from '../domain/refresh-token.ts';

export interface LogOut {
  refreshToken: string;
}

/** A token that is unknown or has ended already is no error (RFC 7009, section 2.2). */
export async function logOut({ refreshToken }: LogOut, { db }: Pick<Deps, 'db'>): Promise<void> {
  await inTransaction(db, async (tx) => {
    const token = await lockRefreshToken(tx, hashOf(refreshToken));
    if (token !== undefined) await revokeFamily(tx, token.familyId);
  });
}
