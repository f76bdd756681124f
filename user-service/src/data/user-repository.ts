// Users in SQL, in and out as domain types.
import type { Role } from '@glasshouse/shared/auth';
import type { Queryable, Transaction } from '@glasshouse/shared/postgres';
import type { User } from '../domain/user.ts';

interface UserRow {
  id: string;
  email: string;
  name: string;
  roles: Role[];
  version: number;
  created_at: Date;
}

const columns = 'id, email, name, roles, version, created_at';

function toUser({ id, email, name, roles, version, created_at }: UserRow): User {
  return { id, email, name, roles, version, createdAt: created_at };
}

/** @returns false where the e-mail address is in use, whatever its case: one of two at once waits for the other here */
export async function insertUser(tx: Transaction, user: User, passwordHash: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into users (id, email, name, password_hash, roles, version, created_at, updated_at)
     values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict (lower(email)) do nothing`,
    [user.id, user.email, user.name, passwordHash, user.roles, user.version, user.createdAt],
  );
  return rowCount === 1;
}

export async function findUser(db: Queryable, id: string): Promise<User | undefined> {
  const { rows } = await db.query<UserRow>(`select ${columns} from users where id = $1`, [id]);
  return rows[0] && toUser(rows[0]);
}

/** Locks the user's row until the transaction ends. */
export async function lockUser(tx: Transaction, id: string): Promise<User | undefined> {
  const { rows } = await tx.query<UserRow>(`select ${columns} from users where id = $1 for update`, [id]);
  return rows[0] && toUser(rows[0]);
}

/** Writes what may change. */
export async function updateUser(tx: Transaction, { id, name, version }: User): Promise<void> {
  await tx.query('update users set name = $2, version = $3, updated_at = $4 where id = $1', [
    id,
    name,
    version,
    tx.now,
  ]);
}

/**
 * Newest first, one more than `limit` so that the caller sees whether there are more.
 * @param filter `before` is the id of the last user of the page before
 */
export async function listUsers(
  db: Queryable,
  filter: { before?: string | undefined; limit: number },
): Promise<User[]> {
  const { rows } = await db.query<UserRow>(
    `select ${columns} from users where $1::uuid is null or id < $1 order by id desc limit $2`,
    [filter.before ?? null, filter.limit + 1],
  );
  return rows.map(toUser);
}

/** @param email in any case of its ASCII letters: no other letter stands for one of those */
export async function findCredentials(
  db: Queryable,
  email: string,
): Promise<{ user: User; passwordHash: string } | undefined> {
  const { rows } = await db.query<UserRow & { password_hash: string }>(
    `select ${columns}, password_hash from users where lower(email) = lower($1::text collate "C")`,
    [email],
  );
  return rows[0] && { user: toUser(rows[0]), passwordHash: rows[0].password_hash };
}
