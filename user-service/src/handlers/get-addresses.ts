// Reading a customer's addresses.
import { type Page, readCursor, toPage } from '@glasshouse/shared/http';
import { z } from 'zod';
import { listAddresses } from '../data/address-repository.ts';
import type { Deps } from '../deps.ts';
import type { SavedAddress } from '../domain/address.ts';

/** Newest first. */
export async function getAddresses(
  query: { userId: string; cursor?: string | undefined; limit: number },
  { db }: Pick<Deps, 'db'>,
): Promise<Page<SavedAddress>> {
  const { userId, cursor, limit } = query;
  const addresses = await listAddresses(db, { userId, before: readCursor(cursor, z.uuid()), limit });
  return toPage(addresses, limit, (address) => address.id);
}
