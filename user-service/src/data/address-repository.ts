// Addresses in SQL, in and out as domain types.
import type { Address } from '@glasshouse/shared/contracts';
import type { Queryable, Transaction } from '@glasshouse/shared/postgres';
import type { SavedAddress } from '../domain/address.ts';

export async function insertAddress(tx: Transaction, userId: string, saved: SavedAddress): Promise<void> {
  const { id, createdAt, ...address } = saved;
  await tx.query('insert into addresses (id, user_id, address, created_at) values ($1, $2, $3, $4)', [
    id,
    userId,
    JSON.stringify(address),
    createdAt,
  ]);
}

export async function countAddresses(tx: Transaction, userId: string): Promise<number> {
  const { rows } = await tx.query<{ count: number }>('select count(*) from addresses where user_id = $1', [userId]);
  return rows[0]?.count ?? 0;
}

/**
 * Newest first, one more than `limit` so that the caller sees whether there are more.
 * @param filter `before` is the id of the last address of the page before
 */
export async function listAddresses(
  db: Queryable,
  filter: { userId: string; before?: string | undefined; limit: number },
): Promise<SavedAddress[]> {
  const { rows } = await db.query<{ id: string; address: Address; created_at: Date }>(
    `select id, address, created_at from addresses where user_id = $1 and ($2::uuid is null or id < $2)
     order by id desc limit $3`,
    [filter.userId, filter.before ?? null, filter.limit + 1],
  );
  return rows.map(({ id, address, created_at }) => ({ ...address, id, createdAt: created_at }));
}

/** @returns false where this user has no such address */
export async function deleteAddress(db: Queryable, userId: string, id: string): Promise<boolean> {
  const { rowCount } = await db.query('delete from addresses where id = $1 and user_id = $2', [id, userId]);
  return rowCount === 1;
}
