// Something has happened that the customer should hear of: a mail is due, or waits for the address where that is not known yet.
import { randomUUIDv7 } from 'node:crypto';
import { inTransaction } from '@glasshouse/shared/mongo';
import { lockAddress } from '../data/address-repository.ts';
import { insertMail } from '../data/mail-repository.ts';
import type { Deps } from '../deps.ts';
import { type Fact, write } from '../domain/mail.ts';

export interface WriteMail {
  fact: Fact;
}

export async function writeMail({ fact }: WriteMail, { db, mailWorker }: Deps): Promise<void> {
  await inTransaction(db, async (tx) => {
    const { recipient, now } = await lockAddress(tx, fact.data.userId);
    const mail = write(randomUUIDv7(), fact, recipient, now);
    if ((await insertMail(tx, mail)) && mail.status === 'due') tx.afterCommit(mailWorker.wake);
  });
}
