// The collections and their indexes.
import { createChassisCollections, type Database, ensureCollection } from '@glasshouse/shared/mongo';

/** Creates what is not there yet. */
export async function createCollections(database: Database): Promise<void> {
  await createChassisCollections(database);
  await ensureCollection(database, 'address_book');
  await ensureCollection(database, 'mails');
  const mails = database.collection('mails');
  // One mail for each fact, whoever else may be writing it at this moment.
  await mails.createIndex({ orderId: 1, occasion: 1, refundId: 1 }, { unique: true });
  await mails.createIndex({ userId: 1, _id: -1 });
  await mails.createIndex({ nextAttemptAt: 1 }, { partialFilterExpression: { status: 'due' } });
}
