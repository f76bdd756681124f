// Somebody registers: one account for an e-mail address, whatever its case.
import { randomUUIDv7 } from 'node:crypto';
import type { Role } from '@glasshouse/shared/auth';
import { appendToOutbox, inTransaction } from '@glasshouse/shared/postgres';
import { insertUser } from '../data/user-repository.ts';
import type { Deps } from '../deps.ts';
import { emailInUse } from '../domain/errors.ts';
import { register, type User } from '../domain/user.ts';

export interface RegisterUser {
  email: string;
  name: string;
  password: string;
  roles: Role[];
}

/** @throws AppError `conflict` where the e-mail address is in use */
export async function registerUser(
  command: RegisterUser,
  { db, passwords }: Pick<Deps, 'db' | 'passwords'>,
): Promise<User> {
  const { email, name, password, roles } = command;
  // Before the transaction: it takes long, and a connection is dear.
  const passwordHash = await passwords.hash(password);
  return inTransaction(db, async (tx) => {
    const { user, events } = register({ id: randomUUIDv7(), email, name, roles }, tx.now);
    if (!(await insertUser(tx, user, passwordHash))) throw emailInUse();
    await appendToOutbox(tx, events);
    return user;
  });
}
