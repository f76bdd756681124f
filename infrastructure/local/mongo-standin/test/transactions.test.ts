// Transactions, snapshots and retryable writes, as MongoDB documents them; also run against a real one (MONGO_URL).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientSession, Long, type MongoServerError } from 'mongodb';
import { commitOf, inTransaction, newSession, rawConnection } from './raw-connection.ts';
import { refusal, useServer } from './server.ts';

const server = useServer();
let made = 0;

interface Row {
  _id: number;
  n?: number;
  key?: string;
}

async function collectionOf(...docs: Row[]) {
  const collection = await server.db.createCollection<Row>(`t${++made}`);
  if (docs.length > 0) await collection.insertMany(docs);
  return collection;
}

/** Sessions with an open transaction each; what is still open in the end is aborted. */
async function withTransactions(count: number, work: (...sessions: ClientSession[]) => Promise<void>): Promise<void> {
  const sessions = Array.from({ length: count }, () => server.client.startSession());
  for (const session of sessions) session.startTransaction();
  try {
    await work(...sessions);
  } finally {
    for (const session of sessions) {
      if (session.inTransaction()) await session.abortTransaction();
      await session.endSession();
    }
  }
}

function assertConflict(error: MongoServerError): void {
  assert.deepEqual([error.code, error.codeName], [112, 'WriteConflict']);
  assert.ok(error.hasErrorLabel('TransientTransactionError'));
}

test('commit: all of it is seen at once, and only then', async () => {
  const collection = await collectionOf({ _id: 1, n: 1 });
  const other = await collectionOf();
  await withTransactions(1, async (session) => {
    await collection.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session });
    await other.insertMany([{ _id: 1 }, { _id: 2 }], { session });
    assert.deepEqual(await collection.findOne({ _id: 1 }), { _id: 1, n: 1 });
    assert.equal(await other.countDocuments(), 0);
    assert.deepEqual(await collection.findOne({ _id: 1 }, { session }), { _id: 1, n: 2 });
    assert.equal(await other.countDocuments({}, { session }), 2);
    await session.commitTransaction();
  });
  assert.deepEqual(await collection.findOne({ _id: 1 }), { _id: 1, n: 2 });
  assert.equal(await other.countDocuments(), 2);
});

test('abort: nothing of it stays', async () => {
  const collection = await collectionOf({ _id: 1, n: 1 });
  await withTransactions(1, async (session) => {
    await collection.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session });
    await collection.insertOne({ _id: 2 }, { session });
    await session.abortTransaction();
  });
  assert.deepEqual(await collection.find().toArray(), [{ _id: 1, n: 1 }]);
});

test('snapshot: reads stay as they were at the first one, through indexes too', async () => {
  const collection = await collectionOf({ _id: 1, n: 1 }, { _id: 2, n: 2 }, { _id: 3, n: 3 });
  await collection.createIndex({ n: 1 });
  await withTransactions(1, async (session) => {
    assert.equal(await collection.countDocuments({}, { session }), 3);
    await collection.updateOne({ _id: 1 }, { $set: { n: 7 } });
    await collection.deleteOne({ _id: 2 });
    await collection.insertOne({ _id: 4, n: 1 });
    assert.deepEqual(await collection.find({ n: 1 }, { session }).toArray(), [{ _id: 1, n: 1 }]);
    assert.deepEqual(await collection.find({ n: 7 }, { session }).toArray(), []);
    assert.deepEqual(await collection.distinct('n', {}, { session }), [1, 2, 3]);
    await session.commitTransaction();
  });
  assert.deepEqual(await collection.distinct('n'), [1, 3, 7]);
});

test('snapshot: own writes are found by what they hold now', async () => {
  const collection = await collectionOf({ _id: 1, n: 1 });
  await collection.createIndex({ n: 1 });
  await withTransactions(1, async (session) => {
    await collection.updateOne({ _id: 1 }, { $set: { n: 2 } }, { session });
    assert.equal(await collection.findOne({ n: 1 }, { session }), null);
    assert.deepEqual(await collection.findOne({ n: 2 }, { session }), { _id: 1, n: 2 });
    await collection.deleteOne({ n: 2 }, { session });
    assert.equal(await collection.countDocuments({}, { session }), 0);
  });
});

test('conflict: a document that an open transaction has changed', async () => {
  const collection = await collectionOf({ _id: 1, n: 1 });
  await withTransactions(2, async (one, two) => {
    await collection.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session: one });
    assertConflict(await refusal(collection.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session: two })));
    // The conflict has ended the transaction.
    assert.equal((await refusal(collection.findOne({}, { session: two }))).code, 251);
    await one.commitTransaction();
  });
  assert.equal((await collection.findOne())?.n, 2);
});

for (const [name, change] of [
  ['changed', (c) => c.updateOne({ _id: 1 }, { $inc: { n: 1 } })],
  ['deleted', (c) => c.deleteOne({ _id: 1 })],
] as [string, (c: Awaited<ReturnType<typeof collectionOf>>) => Promise<unknown>][]) {
  test(`conflict: a document ${name} since the transaction read it`, async () => {
    const collection = await collectionOf({ _id: 1, n: 1 }, { _id: 2 });
    await withTransactions(3, async (updating, deleting, modifying) => {
      for (const session of [updating, deleting, modifying]) await collection.findOne({ _id: 2 }, { session });
      await change(collection);
      assertConflict(await refusal(collection.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session: updating })));
      assertConflict(await refusal(collection.deleteOne({ _id: 1 }, { session: deleting })));
      assertConflict(
        await refusal(collection.findOneAndUpdate({ _id: 1 }, { $inc: { n: 1 } }, { session: modifying })),
      );
    });
  });
}

test('conflict: an _id that an open transaction has inserted, and one that was committed since the snapshot', async () => {
  const collection = await collectionOf({ _id: 0 });
  await withTransactions(3, async (one, two, three) => {
    await collection.findOne({ _id: 0 }, { session: three });
    await collection.insertOne({ _id: 1 }, { session: one });
    assertConflict(await refusal(collection.insertOne({ _id: 1 }, { session: two })));
    await one.commitTransaction();
    const upsert = collection.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { upsert: true, session: three });
    assertConflict(await refusal(upsert));
  });
});

test('conflict: a value of a unique index taken since the snapshot', async () => {
  const collection = await collectionOf({ _id: 0 });
  await collection.createIndex({ key: 1 }, { unique: true });
  await withTransactions(1, async (session) => {
    await collection.findOne({ _id: 0 }, { session });
    await collection.insertOne({ _id: 1, key: 'k' });
    assertConflict(await refusal(collection.insertOne({ _id: 2, key: 'k' }, { session })));
  });
});

test('a value of a unique index may pass from one document to another within a transaction', async () => {
  const collection = await collectionOf({ _id: 2, key: 'k' });
  await collection.createIndex({ key: 1 }, { unique: true });
  await withTransactions(1, async (session) => {
    await collection.updateOne({ _id: 2 }, { $set: { key: 'l' } }, { session });
    await collection.insertOne({ _id: 1, key: 'k' }, { session });
    await session.commitTransaction();
  });
  assert.equal((await collection.findOne({ key: 'k' }))?._id, 1);
  assert.equal((await collection.findOne({ key: 'l' }))?._id, 2);
});

test('a write that finds nothing to write: conflicts with nobody', async () => {
  const collection = await collectionOf({ _id: 1, n: 1 });
  await withTransactions(2, async (one, two) => {
    await collection.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { session: one });
    assert.equal((await collection.updateOne({ _id: 5 }, { $inc: { n: 1 } }, { session: two })).matchedCount, 0);
    assert.equal(await collection.findOneAndUpdate({ n: 9 }, { $inc: { n: 1 } }, { session: two }), null);
    assert.equal((await collection.deleteMany({ n: 9 }, { session: two })).deletedCount, 0);
    await one.commitTransaction();
    await two.commitTransaction();
  });
});

test('a duplicate key: ends the transaction; what follows is NoSuchTransaction, and may be done again', async () => {
  const collection = await collectionOf({ _id: 1 });
  await withTransactions(1, async (session) => {
    await collection.insertOne({ _id: 2 }, { session });
    assert.equal((await refusal(collection.insertOne({ _id: 1 }, { session }))).code, 11000);
    const after = await refusal(collection.insertOne({ _id: 3 }, { session }));
    assert.deepEqual([after.code, after.codeName], [251, 'NoSuchTransaction']);
    assert.ok(after.hasErrorLabel('TransientTransactionError'));
  });
  assert.equal(await collection.countDocuments(), 1);
});

test('withTransaction: of many at once, each is counted', async () => {
  const collection = await collectionOf({ _id: 1, n: 0 });
  const increment = () =>
    server.client.withSession((session) =>
      session.withTransaction(async () => {
        const { n = 0 } = (await collection.findOne({ _id: 1 }, { session })) ?? {};
        await collection.updateOne({ _id: 1 }, { $set: { n: n + 1 } }, { session });
      }),
    );
  await Promise.all(Array.from({ length: 10 }, increment));
  assert.equal((await collection.findOne())?.n, 10);
});

test('upserts of one _id at once, outside transactions: one inserts, all count', async () => {
  const collection = await collectionOf();
  const upsert = () => collection.updateOne({ _id: 1 }, { $inc: { n: 1 } }, { upsert: true });
  const results = await Promise.all(Array.from({ length: 10 }, upsert));
  assert.equal(results.filter(({ upsertedCount }) => upsertedCount === 1).length, 1);
  assert.equal((await collection.findOne())?.n, 10);
});

test('a cursor of a transaction: goes on within it, and not after its end', async () => {
  const collection = await collectionOf(...Array.from({ length: 20 }, (_, _id) => ({ _id })));
  await withTransactions(1, async (session) => {
    const cursor = collection.find({}, { session, batchSize: 5 });
    await collection.deleteMany({ _id: { $gte: 10 } });
    assert.equal((await cursor.toArray()).length, 10);
    const open = collection.find({}, { session, batchSize: 5 });
    for (let i = 0; i < 5; i++) await open.next();
    await session.commitTransaction();
    await refusal(open.next());
  });
});

test('count: is refused within a transaction', async () => {
  const collection = await collectionOf();
  await withTransactions(1, async (session) => {
    const error = await refusal(server.db.command({ count: collection.collectionName }, { session }));
    assert.equal(error.code, 263);
  });
});

test('causally consistent sessions: read what they wrote', async () => {
  const collection = await collectionOf();
  await server.client.withSession({ causalConsistency: true }, async (session) => {
    await collection.insertOne({ _id: 1 }, { session });
    assert.ok(session.operationTime);
    assert.equal((await collection.findOne({ _id: 1 }, { session }))?._id, 1);
  });
});

test('a retryable write sent again: is answered as at first, and not done again', async () => {
  const { collectionName } = await collectionOf({ _id: 1, n: 0 });
  const connection = await rawConnection(server.url);
  const common = { $db: server.db.databaseName, lsid: newSession() };
  const update = {
    update: collectionName,
    updates: [{ q: { _id: 1 }, u: { $inc: { n: 1 } } }],
    ...common,
    txnNumber: Long.ONE,
  };
  const modify = {
    findAndModify: collectionName,
    query: { _id: 1 },
    update: { $inc: { n: 1 } },
    new: true,
    ...common,
    txnNumber: Long.fromNumber(2),
  };
  for (let i = 0; i < 3; i++) assert.equal((await connection.send(update)).nModified, 1);
  for (let i = 0; i < 3; i++) assert.equal((await connection.send(modify)).value.n, 2);
  assert.equal((await connection.send(update)).codeName, 'TransactionTooOld');
  assert.equal((await server.db.collection(collectionName).findOne())?.n, 2);
  connection.socket.destroy();
});

test('a commit sent again: is answered alike; statements after it are refused', async () => {
  const { collectionName } = await collectionOf();
  const connection = await rawConnection(server.url);
  const lsid = newSession();
  const insert = (_id: number, first: boolean) => ({
    insert: collectionName,
    documents: [{ _id }],
    $db: server.db.databaseName,
    ...inTransaction(lsid, 1, first),
  });
  await connection.send(insert(1, true));
  for (let i = 0; i < 3; i++) assert.equal((await connection.send(commitOf(lsid, 1))).ok, 1);
  assert.equal((await connection.send(insert(2, false))).ok, 0);
  assert.equal(await server.db.collection(collectionName).countDocuments(), 1);
  connection.socket.destroy();
});

test('a statement of a transaction that was never begun, or is older than the latest: is refused', async () => {
  const { collectionName } = await collectionOf();
  const connection = await rawConnection(server.url);
  const lsid = newSession();
  const find = (number: number, first = false) => ({
    find: collectionName,
    $db: server.db.databaseName,
    ...inTransaction(lsid, number, first),
  });
  const unknown = await connection.send(find(1));
  assert.equal(unknown.codeName, 'NoSuchTransaction');
  assert.deepEqual(unknown.errorLabels, ['TransientTransactionError']);
  assert.equal((await connection.send(find(5, true))).ok, 1);
  assert.equal((await connection.send(find(4, true))).codeName, 'TransactionTooOld');
  connection.socket.destroy();
});
