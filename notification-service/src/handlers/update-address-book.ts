// A customer is known, or has changed: the address book follows, whatever order the news comes in, and mails that waited for the address are due.
import { inTransaction } from '@glasshouse/shared/mongo';
import { type AddressBookEntry, lockAddress, updateAddress } from '../data/address-repository.ts';
import { addressWaitingMails } from '../data/mail-repository.ts';
import type { Deps } from '../deps.ts';

export async function updateAddressBook(entry: AddressBookEntry, { db, mailWorker }: Deps): Promise<void> {
  await inTransaction(db, async (tx) => {
    const { version, now } = await lockAddress(tx, entry.userId);
    if (version >= entry.version) return;
    await updateAddress(tx, entry);
    const { email, name } = entry;
    if ((await addressWaitingMails(tx, entry.userId, { email, name }, now)) > 0)
      tx.afterCommit(() => mailWorker.wake(true));
  });
}
