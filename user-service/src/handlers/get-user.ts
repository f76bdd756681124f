// Reading users.
import { findUser } from '../data/user-repository.ts';
import type { Deps } from '../deps.ts';
import { userNotFound } from '../domain/errors.ts';
import type { User } from '../domain/user.ts';

/** @throws AppError `not-found` */
export async function getUser(query: { userId: string }, { db }: Pick<Deps, 'db'>): Promise<User> {
  const user = await findUser(db, query.userId);
  if (user === undefined) throw userNotFound();
  return user;
}
