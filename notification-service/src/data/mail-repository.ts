// Mails as documents, in and out as domain types.
import type { Database, Db, Transaction } from '@glasshouse/shared/mongo';
import { type Cause, currentCause } from '@glasshouse/shared/telemetry';
import { LEASE_SECONDS } from '@glasshouse/shared/workers';
import { type Fact, type Mail, type MailStatus, type Occasion, type Recipient, refundIdOf } from '../domain/mail.ts';

interface MailDocument {
  _id: string;
  orderId: string;
  userId: string;
  occasion: Occasion;
  /** Null for all but refunds. */
  refundId: string | null;
  factTime: Date;
  /** The event's data. */
  data: Fact['data'];
  subject: string;
  status: MailStatus;
  recipient: Recipient | null;
  createdAt: Date;
  sentAt: Date | null;
  /** Where the mail comes from, so that its sending belongs to the same trace. */
  cause: Cause;
  /** Tries that the mail server has answered with a no, or not at all. */
  attempts: number;
  nextAttemptAt: Date;
  /** Who is sending it, and until when; null while nobody is. */
  leaseToken: string | null;
  leaseUntil: Date | null;
}

const COLLECTION = 'mails';

function toMail(document: MailDocument): Mail {
  const { occasion, factTime, data } = document;
  return {
    id: document._id,
    fact: { type: occasion, time: factTime.toISOString(), data } as Fact,
    subject: document.subject,
    status: document.status,
    recipient: document.recipient ?? undefined,
    createdAt: document.createdAt,
    sentAt: document.sentAt ?? undefined,
  };
}

const factKey = (fact: Fact) => ({
  orderId: fact.data.orderId,
  occasion: fact.type,
  refundId: refundIdOf(fact) ?? null,
});

/**
 * Remembers the present trace with the mail.
 * @returns false, and does nothing, where there is a mail about this fact, in whatever state
 */
export async function insertMail(tx: Transaction, mail: Mail): Promise<boolean> {
  const { id, fact, subject, status, recipient, createdAt } = mail;
  const { upsertedCount } = await tx.collection<MailDocument>(COLLECTION).updateOne(
    factKey(fact),
    {
      $setOnInsert: {
        _id: id,
        userId: fact.data.userId,
        factTime: new Date(fact.time),
        data: fact.data,
        subject,
        status,
        recipient: recipient ?? null,
        createdAt,
        sentAt: null,
        cause: currentCause(),
        attempts: 0,
        nextAttemptAt: createdAt,
        leaseToken: null,
        leaseUntil: null,
      },
    },
    { upsert: true, ...tx.within },
  );
  return upsertedCount === 1;
}

/** Makes the user's waiting mails due. @returns how many there were */
export async function addressWaitingMails(
  tx: Transaction,
  userId: string,
  recipient: Recipient,
  now: Date,
): Promise<number> {
  const { modifiedCount } = await tx
    .collection<MailDocument>(COLLECTION)
    .updateMany({ userId, status: 'waiting' }, { $set: { status: 'due', recipient, nextAttemptAt: now } }, tx.within);
  return modifiedCount;
}

export interface ClaimedMail {
  mail: Mail;
  cause: Cause;
  leaseToken: string;
  /** By the process's monotonic clock, in milliseconds: it goes on while the process is stopped. */
  claimedAt: number;
  /** Tries so far. */
  attempts: number;
  /** Whether somebody had it before us and never said what became of it. */
  isAbandoned: boolean;
}

/** Takes one due mail under a lease; copies of the service get different ones. */
export async function claimDueMail(database: Database, leaseToken: string): Promise<ClaimedMail | undefined> {
  const claimedAt = performance.now();
  const found = await database.collection<MailDocument>(COLLECTION).findOneAndUpdate(
    {
      status: 'due',
      $expr: { $and: [{ $lte: ['$nextAttemptAt', '$$now'] }, { $lt: ['$leaseUntil', '$$now'] }] },
    },
    [
      {
        $set: {
          leaseToken,
          leaseUntil: { $dateAdd: { startDate: '$$NOW', unit: 'second', amount: LEASE_SECONDS } },
        },
      },
    ],
    // By `let`: not every server that speaks for MongoDB takes $$NOW in a filter that an index serves.
    { let: { now: '$$NOW' }, sort: { nextAttemptAt: 1 }, returnDocument: 'before' },
  );
  if (found === null) return undefined;
  const { cause, attempts } = found;
  return { mail: toMail(found), cause, leaseToken, claimedAt, attempts, isAbandoned: found.leaseToken !== null };
}

export async function isDue(database: Database, id: string): Promise<boolean> {
  return (await database.collection<MailDocument>(COLLECTION).findOne({ _id: id, status: 'due' })) !== null;
}

/** The mail server has it: that is so whoever holds the lease by now. */
export async function recordSent(database: Database, id: string): Promise<void> {
  await database
    .collection<MailDocument>(COLLECTION)
    .updateOne({ _id: id, status: 'due' }, [
      { $set: { status: 'sent', sentAt: '$$NOW', leaseToken: null, leaseUntil: null } },
    ]);
}

/**
 * Gives a mail back, to be tried again in `pauseMs` milliseconds; does nothing where the lease is gone.
 * @param tries how many tries to count
 */
export async function postpone(
  database: Database,
  { mail, leaseToken }: ClaimedMail,
  pauseMs: number,
  tries: number,
): Promise<void> {
  const nextAttemptAt = { $dateAdd: { startDate: '$$NOW', unit: 'millisecond', amount: Math.round(pauseMs) } };
  await database
    .collection<MailDocument>(COLLECTION)
    .updateOne({ _id: mail.id, leaseToken }, [
      { $set: { attempts: { $add: ['$attempts', tries] }, nextAttemptAt, leaseToken: null, leaseUntil: null } },
    ]);
}

/**
 * Newest first, one more than `limit` so that the caller sees whether there are more.
 * @param filter `before` is the id of the last mail of the page before
 */
export async function listMails(
  db: Db,
  filter: { userId?: string | undefined; orderId?: string | undefined; before?: string | undefined; limit: number },
): Promise<Mail[]> {
  const { userId, orderId, before, limit } = filter;
  const documents = await db
    .collection<MailDocument>(COLLECTION)
    .find(
      {
        ...(userId !== undefined && { userId }),
        ...(orderId !== undefined && { orderId }),
        ...(before !== undefined && { _id: { $lt: before } }),
      },
      db.within,
    )
    .sort({ _id: -1 })
    .limit(limit + 1)
    .toArray();
  return documents.map(toMail);
}
