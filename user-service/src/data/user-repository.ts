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

/** @param email in any case */
export async function findCredentials(
  db: Queryable,
  email: string,
): Promise<{ user: User; passwordHash: string } | undefined> {
  const { rows } = await db.query<UserRow & { password_hash: string }>(
    `select ${columns}, password_hash from users where lower(email) = lower($1)`,
    [email],
  );
  return rows[0] && { user: toUser(rows[0]), passwordHash: rows[0].password_hash };
}
