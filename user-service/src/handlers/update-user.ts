// Somebody changes their profile; the others are told where something has changed.
import { appendToOutbox, inTransaction } from '@glasshouse/shared/postgres';
import { lockUser, updateUser as writeUser } from '../data/user-repository.ts';
import type { Deps } from '../deps.ts';
import { userNotFound } from '../domain/errors.ts';
import { rename, type User } from '../domain/user.ts';

export interface UpdateUser {
  userId: string;
  /** Stays as it is where not given. */
  name?: string | undefined;
}

/** @throws AppError `not-found` */
export async function updateUser({ userId, name }: UpdateUser, { db }: Pick<Deps, 'db'>): Promise<User> {
  return inTransaction(db, async (tx) => {
    const found = await lockUser(tx, userId);
    if (found === undefined) throw userNotFound();
    const { user, events } = rename(found, name ?? found.name);
    if (events.length > 0) await writeUser(tx, user);
    await appendToOutbox(tx, events);
    return user;
  });
}
