// The inbox: the ids of the events that were handled, written in the same transaction as what the handling changed.
import { MongoServerError } from 'mongodb';
import type { ConsumerDatabase } from '../event-bus/index.ts';
import { type Database, inTransaction, type Transaction } from './database.ts';

interface InboxDocument {
  _id: string;
  handledAt: Date;
}

/** What was handled more than 7 days ago is forgotten: the state documents know better by then. */
const INBOX_TTL_S = 7 * 86_400;

/** What the consumer needs of this database. */
export function createConsumerDatabase(database: Database): ConsumerDatabase<Transaction> {
  return {
    handleOnce(eventId, work) {
      return inTransaction(database, async (tx) => {
        // An insert of what is there would end the transaction with it.
        const { upsertedCount } = await tx
          .collection<InboxDocument>('inbox')
          .updateOne({ _id: eventId }, { $setOnInsert: { handledAt: new Date() } }, { upsert: true, ...tx.within });
        if (upsertedCount !== 1) return false;
        await work(tx);
        return true;
      });
    },
    async probeWrite() {
      await database
        .collection<{ _id: string; probedAt: Date }>('write_probe')
        .updateOne({ _id: 'probe' }, { $currentDate: { probedAt: true } }, { upsert: true });
    },
  };
}

/** Creates what the chassis itself needs: call it from the service's migration. */
export async function createChassisCollections(database: Database): Promise<void> {
  for (const name of ['outbox', 'inbox', 'idempotency_keys', 'write_probe']) await ensureCollection(database, name);
  await database.collection('inbox').createIndex({ handledAt: 1 }, { expireAfterSeconds: INBOX_TTL_S });
}

/** Creates a collection where it is not there yet: a transaction can't always do so. */
export async function ensureCollection(database: Database, name: string): Promise<void> {
  try {
    await database.db.createCollection(name);
  } catch (error) {
    const namespaceExists = 48;
    if (!(error instanceof MongoServerError) || error.code !== namespaceExists) throw error;
  }
}

/** Drops an index that an earlier version of a service made, where it is still there. */
export async function dropIndex(database: Database, collection: string, name: string): Promise<void> {
  try {
    await database.collection(collection).dropIndex(name);
  } catch (error) {
    const indexNotFound = 27;
    if (!(error instanceof MongoServerError) || error.code !== indexNotFound) throw error;
  }
}
