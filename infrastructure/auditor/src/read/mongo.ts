// A service's MongoDB database, read only.
import { type Collection, type Document, MongoClient } from 'mongodb';
import { reading } from './source.ts';

const LIMIT_MS = 5_000;
const DOCUMENTS_AT_ONCE = 5_000;

export interface MongoSource {
  /** How many documents match. */
  count(collection: string, filter: Document): Promise<number>;
  /** All reads of `work` see the same moment. */
  inSnapshot<T>(work: (snapshot: MongoSnapshot) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface MongoSnapshot {
  count(collection: string, filter: Document): Promise<number>;
  /** One document after the other, with the named fields. */
  stream<D extends Document>(collection: string, fields: readonly string[]): AsyncGenerator<D>;
}

/**
 * @param url names the database in its path
 * @throws Unreachable, as do all reads
 */
export async function openMongo(name: string, url: string): Promise<MongoSource> {
  const source = `${name}'s database`;
  const client = new MongoClient(url, {
    appName: 'auditor',
    serverSelectionTimeoutMS: LIMIT_MS,
    connectTimeoutMS: LIMIT_MS,
    socketTimeoutMS: 60_000,
    readConcern: { level: 'majority' },
  });
  await reading(source, url, async () => {
    await client.connect();
    await client.db().command({ ping: 1 });
  });
  const collection = <D extends Document>(called: string): Collection<D> => client.db().collection<D>(called);
  return {
    count: (called, filter) => reading(source, url, () => collection(called).countDocuments(filter)),
    async inSnapshot(work) {
      // Unlike a transaction, a snapshot session has no time limit of a few seconds:
      // https://www.mongodb.com/docs/manual/reference/read-concern-snapshot/
      const session = client.startSession({ snapshot: true });
      try {
        return await work({
          count: (called, filter) => reading(source, url, () => collection(called).countDocuments(filter, { session })),
          async *stream<D extends Document>(called: string, fields: readonly string[]) {
            const projection = Object.fromEntries(fields.map((field) => [field, 1]));
            const cursor = collection(called).find<D>({}, { session, projection, batchSize: DOCUMENTS_AT_ONCE });
            for (;;) {
              const next = await reading(source, url, () => cursor.next());
              if (next === null) return;
              yield next;
            }
          },
        });
      } finally {
        await session.endSession();
      }
    },
    close: () => client.close(),
  };
}
