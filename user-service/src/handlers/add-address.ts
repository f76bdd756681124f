// A customer keeps one more address.
import { randomUUIDv7 } from 'node:crypto';
import type { Address } from '@glasshouse/shared/contracts';
import { inTransaction } from '@glasshouse/shared/postgres';
import { countAddresses, insertAddress } from '../data/address-repository.ts';
import { lockUser } from '../data/user-repository.ts';
import type { Deps } from '../deps.ts';
import { MAX_ADDRESSES, type SavedAddress } from '../domain/address.ts';
import { tooManyAddresses, userNotFound } from '../domain/errors.ts';

export interface AddAddress {
  userId: string;
  address: Address;
}

/** @throws AppError `not-found`; `conflict` where the user has as many as anybody may keep */
export async function addAddress({ userId, address }: AddAddress, { db }: Pick<Deps, 'db'>): Promise<SavedAddress> {
  return inTransaction(db, async (tx) => {
    // Of two at once the second sees what the first has added.
    if ((await lockUser(tx, userId)) === undefined) throw userNotFound();
    if ((await countAddresses(tx, userId)) >= MAX_ADDRESSES) throw tooManyAddresses();
    const saved: SavedAddress = { ...address, id: randomUUIDv7(), createdAt: tx.now };
    await insertAddress(tx, userId, saved);
    return saved;
  });
}
