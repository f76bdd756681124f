// The address book: our copy of the customers' names and addresses, kept by user events. A version only ever goes up.
import type { Transaction } from '@glasshouse/shared/mongo';
import type { Recipient } from '../domain/mail.ts';

export interface AddressBookEntry extends Recipient {
  userId: string;
  version: number;
}

interface AddressDocument {
  /** The user's id. */
  _id: string;
  /** 0 while nothing is known but that the user has a mail to wait for. */
  version: number;
  email?: string;
  name?: string;
  locks: number;
  lockedAt: Date;
}

const lock = [
  {
    $set: {
      version: { $ifNull: ['$version', 0] },
      locks: { $add: [{ $ifNull: ['$locks', 0] }, 1] },
      lockedAt: '$$NOW',
    },
  },
];

export interface LockedAddress {
  version: number;
  /** Absent where the address is not known yet. */
  recipient: Recipient | undefined;
  /** The database's clock. */
  now: Date;
}

/**
 * Locks the user's entry until the transaction ends, made for the purpose where there is none. It has to be written, not only read: two
 * transactions that read the same snapshot, one adding an address and the other a mail that waits for it, would not see each other.
 */
export async function lockAddress(tx: Transaction, userId: string): Promise<LockedAddress> {
  const found = await tx
    .collection<AddressDocument>('address_book')
    .findOneAndUpdate({ _id: userId }, lock, { ...tx.within, upsert: true, returnDocument: 'after' });
  if (found === null) throw new Error('an upsert has returned nothing');
  const { version, email, name, lockedAt } = found;
  const recipient = email === undefined ? undefined : { email, name: name ?? '' };
  return { version, recipient, now: lockedAt };
}

/** Overwrites the entry, which has to be locked and of a lower version. */
export async function updateAddress(tx: Transaction, entry: AddressBookEntry): Promise<void> {
  const { userId, version, email, name } = entry;
  await tx
    .collection<AddressDocument>('address_book')
    .updateOne({ _id: userId }, { $set: { version, email, name } }, tx.within);
}
