// Reading users.
import { type Page, readCursor, toPage } from '@glasshouse/shared/http';
import { z } from 'zod';
import { findUser, listUsers } from '../data/user-repository.ts';
import type { Deps } from '../deps.ts';
import { userNotFound } from '../domain/errors.ts';
import type { User } from '../domain/user.ts';

/** @throws AppError `not-found` */
export async function getUser(query: { userId: string }, { db }: Pick<Deps, 'db'>): Promise<User> {
  const user = await findUser(db, query.userId);
  if (user === undefined) throw userNotFound();
  return user;
}

/** All users, newest first. */
export async function getUsers(
  query: { cursor?: string | undefined; limit: number },
  { db }: Pick<Deps, 'db'>,
): Promise<Page<User>> {
  const { cursor, limit } = query;
  const users = await listUsers(db, { before: readCursor(cursor, z.uuid()), limit });
  return toPage(users, limit, (user) => user.id);
}
