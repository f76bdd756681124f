// Reading what was written to customers: they see their own mails, and admins all; for anyone else they do not exist.
import { type Identity, isAdmin } from '@glasshouse/shared/auth';
import { type Page, readCursor, toPage } from '@glasshouse/shared/http';
import { z } from 'zod';
import { listMails } from '../data/mail-repository.ts';
import type { Deps } from '../deps.ts';
import type { Mail } from '../domain/mail.ts';

/** Newest first. */
export async function getMails(
  query: { user: Identity; orderId?: string | undefined; cursor?: string | undefined; limit: number },
  { db }: Pick<Deps, 'db'>,
): Promise<Page<Mail>> {
  const { user, orderId, cursor, limit } = query;
  const before = readCursor(cursor, z.uuid());
  const mails = await listMails(db, { userId: isAdmin(user) ? undefined : user.userId, orderId, before, limit });
  return toPage(mails, limit, (mail) => mail.id);
}
