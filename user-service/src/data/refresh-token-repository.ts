// Refresh tokens and their families in SQL. Expiry is by the database's clock: copies of the service agree.
import type { Queryable, Transaction } from '@glasshouse/shared/postgres';
import type { RefreshToken } from '../domain/refresh-token.ts';

/** Few enough rows, with their tokens, for one statement's time limit. */
const PURGE_BATCH = 200;

/** Begins a family with its first token. */
export async function insertFamily(
  db: Queryable,
  family: { id: string; userId: string; hash: Buffer; ttlS: number },
): Promise<void> {
  await db.query(
    `with family as (
       insert into token_families (id, user_id, expires_at) values ($1, $2, clock_timestamp() + make_interval(secs => $3))
     )
     insert into refresh_tokens (hash, family_id) values ($4, $1)`,
    [family.id, family.userId, family.ttlS, family.hash],
  );
}

/** Locks the token and its family until the transaction ends: of two uses at once the second sees what the first did. */
export async function lockRefreshToken(tx: Transaction, hash: Buffer): Promise<RefreshToken | undefined> {
  const { rows } = await tx.query<{
    family_id: string;
    user_id: string;
    is_spent: boolean;
    is_revoked: boolean;
    is_expired: boolean;
  }>(
    `select family.id as family_id, user_id, spent_at is not null as is_spent, revoked_at is not null as is_revoked,
            expires_at <= clock_timestamp() as is_expired
     from refresh_tokens join token_families as family on family.id = family_id where hash = $1 for update`,
    [hash],
  );
  const [row] = rows;
  return (
    row && {
      familyId: row.family_id,
      userId: row.user_id,
      isSpent: row.is_spent,
      isRevoked: row.is_revoked,
      isExpired: row.is_expired,
    }
  );
}

/** Spends a token and puts the next one of its family in its place. */
export async function replaceRefreshToken(
  tx: Transaction,
  change: { familyId: string; hash: Buffer; nextHash: Buffer; ttlS: number },
): Promise<void> {
  await tx.query(
    `with spent as (
       update refresh_tokens set spent_at = clock_timestamp() where hash = $2
     ), prolonged as (
       update token_families set expires_at = clock_timestamp() + make_interval(secs => $4) where id = $1
     )
     insert into refresh_tokens (hash, family_id) values ($3, $1)`,
    [change.familyId, change.hash, change.nextHash, change.ttlS],
  );
}

export async function revokeFamily(tx: Transaction, familyId: string): Promise<void> {
  await tx.query('update token_families set revoked_at = coalesce(revoked_at, clock_timestamp()) where id = $1', [
    familyId,
  ]);
}

/** Forgets the families in which no token is good any more, a few at a time: each may have thousands of spent ones. */
export async function deleteExpiredFamilies(db: Queryable): Promise<void> {
  let deleted: number | null;
  do {
    ({ rowCount: deleted } = await db.query(
      `delete from token_families where id in (
         select id from token_families where expires_at < clock_timestamp() order by expires_at limit $1 for update skip locked)`,
      [PURGE_BATCH],
    ));
  } while (deleted === PURGE_BATCH);
}
