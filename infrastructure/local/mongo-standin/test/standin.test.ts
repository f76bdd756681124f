// What only the stand-in promises: its one lock, the end of transactions with their sockets, and its data after SIGKILL.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { Long, MongoClient, type MongoServerError } from 'mongodb';
import { type MongoStandinOptions, startMongoStandin } from '../index.ts';
import { commitOf, inTransaction, newSession, rawConnection } from './raw-connection.ts';
import { isStandin, refusal, temporaryFolder, until } from './server.ts';

const only = { skip: isStandin ? false : 'is about the stand-in alone' };

interface Row {
  _id: string;
  n?: number;
}

/** A stand-in in this process, stopped after the test at the latest. */
async function startedWith(t: TestContext, options: Omit<MongoStandinOptions, 'dir'> & { dir?: string } = {}) {
  const dir = options.dir ?? (await folder(t));
  const standin = await startMongoStandin({ dir, ...options });
  const client = new MongoClient(standin.url);
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= client.close().then(() => standin.stop());
    return stopped;
  };
  t.after(stop);
  return { ...standin, dir, client, db: client.db('test'), rows: client.db('test').collection<Row>('rows'), stop };
}

async function folder(t: TestContext): Promise<string> {
  const dir = await temporaryFolder();
  t.after(() => rm(dir, { recursive: true }));
  return dir;
}

/** A stand-in in a process of its own, to be killed. */
async function spawned(t: TestContext, dir: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../main.ts'), '--dir', dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [line] = await once(createInterface(child.stdout), 'line');
  return { child, url: String(line).split(' ').at(-1) ?? '' };
}

async function ended(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
  const exit = once(child, 'exit');
  child.kill(signal);
  const [code] = await exit;
  return code;
}

const assertConflict = (error: MongoServerError) => {
  assert.equal(error.code, 112);
  assert.ok(error.hasErrorLabel('TransientTransactionError'));
};

test(
  'the lock: another transaction fails, at once over the same document, a write outside waits, reads do not',
  only,
  async (t) => {
    const { client, rows, db, stop } = await startedWith(t, { lockWaitMs: 50 });
    await rows.insertMany([{ _id: 'a' }, { _id: 'b' }, { _id: 'c' }]);
    const [one, two, three] = [client.startSession(), client.startSession(), client.startSession()];
    for (const session of [one, two, three]) session.startTransaction();
    await rows.updateOne({ _id: 'a' }, { $set: { n: 1 } }, { session: one });

    assertConflict(await refusal(rows.updateOne({ _id: 'a' }, { $set: { n: 2 } }, { session: two })));
    assertConflict(await refusal(rows.updateOne({ _id: 'b' }, { $set: { n: 2 } }, { session: three })));

    let written = false;
    const outside = rows.updateOne({ _id: 'c' }, { $set: { n: 3 } }).then(() => {
      written = true;
    });
    const indexed = rows.createIndex({ n: 1 });
    assert.equal((await refusal(rows.updateOne({ _id: 'c' }, { $set: { n: 4 } }, { maxTimeMS: 50 }))).code, 50);
    assert.equal((await rows.findOne({ _id: 'c' }))?.n, undefined);
    assert.equal((await rows.updateOne({ _id: 'none' }, { $set: { n: 1 } })).matchedCount, 0);
    await client.db('other').collection('x').insertOne({ a: 1 });
    assert.equal(written, false);

    await one.commitTransaction();
    await outside;
    await indexed;
    assert.deepEqual(
      await rows
        .find({ n: { $gt: 0 } }, { sort: { n: 1 } })
        .map(({ _id }) => _id)
        .toArray(),
      ['a', 'c'],
    );
    await two.abortTransaction();
    await db.dropDatabase();
    await stop();
  },
);

test(
  'the lock: transactions over different documents wait for each other, and each is carried out',
  only,
  async (t) => {
    const { client, rows, stop } = await startedWith(t, { lockWaitMs: 10_000 });
    const ids = ['a', 'b', 'c', 'd', 'e'];
    await rows.insertMany(ids.map((_id) => ({ _id, n: 0 })));
    await Promise.all(
      ids.map(async (_id) => {
        const session = client.startSession();
        session.startTransaction();
        for (const n of [1, 2]) await rows.updateOne({ _id }, { $set: { n } }, { session });
        await session.commitTransaction();
        await session.endSession();
      }),
    );
    assert.equal(await rows.countDocuments({ n: 2 }), ids.length);
    await stop();
  },
);

test('the lock: who wants the same document does not wait for it', only, async (t) => {
  const { client, rows, stop } = await startedWith(t, { lockWaitMs: 20_000, transactionLifetimeLimitSeconds: 5 });
  await rows.insertOne({ _id: 'a' });
  const [one, two] = [client.startSession(), client.startSession()];
  for (const session of [one, two]) session.startTransaction();
  await rows.updateOne({ _id: 'a' }, { $set: { n: 1 } }, { session: one });
  // Had it waited, its transaction would have been aborted for its age.
  assertConflict(await refusal(rows.updateOne({ _id: 'a' }, { $set: { n: 2 } }, { session: two })));
  await one.commitTransaction();
  await stop();
});

test('the lock: who waits for it and is aborted meanwhile, is told so', only, async (t) => {
  const { client, rows, stop } = await startedWith(t, { lockWaitMs: 10_000, transactionLifetimeLimitSeconds: 0.3 });
  await rows.insertMany([{ _id: 'a' }, { _id: 'b' }]);
  const [one, two] = [client.startSession(), client.startSession()];
  two.startTransaction();
  await rows.findOne({ _id: 'b' }, { session: two });
  one.startTransaction();
  await rows.updateOne({ _id: 'a' }, { $set: { n: 1 } }, { session: one });
  const error = await refusal(rows.updateOne({ _id: 'b' }, { $set: { n: 2 } }, { session: two }));
  assert.equal(error.code, 251);
  assert.ok(error.hasErrorLabel('TransientTransactionError'));
  assert.equal((await rows.findOne({ _id: 'b' }))?.n, undefined);
  await stop();
});

test('a transaction: ends with its socket, and gives the lock back', only, async (t) => {
  const { url, rows, stop } = await startedWith(t);
  await rows.insertOne({ _id: 'a', n: 1 });
  const connection = await rawConnection(url);
  const answer = await connection.send({
    update: 'rows',
    updates: [{ q: { _id: 'a' }, u: { $set: { n: 2 } } }],
    $db: 'test',
    ...inTransaction(newSession(), 1, true),
  });
  assert.equal(answer.nModified, 1);
  const waiting = rows.findOneAndUpdate({ _id: 'a' }, { $inc: { n: 10 } }, { returnDocument: 'after' });
  connection.socket.destroy();
  assert.equal((await waiting)?.n, 11);
  await stop();
});

test('a transaction: is aborted after its lifetime', only, async (t) => {
  const { client, rows, stop } = await startedWith(t, { transactionLifetimeLimitSeconds: 0.2 });
  await rows.insertOne({ _id: 'a', n: 1 });
  const session = client.startSession();
  session.startTransaction();
  await rows.updateOne({ _id: 'a' }, { $set: { n: 2 } }, { session });
  await rows.updateOne({ _id: 'a' }, { $inc: { n: 10 } });
  const error = await refusal(session.commitTransaction());
  assert.equal(error.code, 251);
  assert.ok(error.hasErrorLabel('TransientTransactionError'));
  assert.equal((await rows.findOne())?.n, 11);
  await session.endSession();
  await stop();
});

test('a retryable write sent again while the first still waits: is done once', only, async (t) => {
  const { client, url, rows, stop } = await startedWith(t);
  await rows.insertOne({ _id: 'a', n: 0 });
  const session = client.startSession();
  session.startTransaction();
  await rows.insertOne({ _id: 'b' }, { session });
  const update = { update: 'rows', updates: [{ q: { _id: 'a' }, u: { $inc: { n: 1 } } }], $db: 'test' };
  const repeated = { ...update, lsid: newSession(), txnNumber: Long.ONE };
  const connections = await Promise.all([rawConnection(url), rawConnection(url)]);
  const answers = connections.map((connection) => connection.send(repeated));
  await rows.findOne();
  await session.commitTransaction();
  for (const { nModified } of await Promise.all(answers)) assert.equal(nModified, 1);
  assert.equal((await rows.findOne({ _id: 'a' }))?.n, 1);
  for (const { socket } of connections) socket.destroy();
  await session.endSession();
  await stop();
});

test('data: is there after a clean restart, with collections, indexes and every kind of id', only, async (t) => {
  const first = await startedWith(t);
  await first.db.createCollection('empty');
  await first.rows.createIndex({ n: 1 }, { unique: true });
  await first.rows.insertOne({ _id: 'a\u0000\ud800', n: 1 });
  // Two numbers that differ in bits which, as characters, are not text.
  const ids = [1 + 0xd800 * 2 ** -20, 1 + 0xd801 * 2 ** -20, -3, 0];
  await first.db.collection<{ _id: number }>('ids').insertMany(ids.map((_id) => ({ _id })));
  await first.stop();

  const second = await startedWith(t, { dir: first.dir });
  assert.deepEqual((await second.db.listCollections().toArray()).map(({ name }) => name).sort(), [
    'empty',
    'ids',
    'rows',
  ]);
  assert.equal(await second.rows.countDocuments({ n: 1 }), 1);
  assert.equal((await refusal(second.rows.insertOne({ _id: 'b', n: 1 }))).code, 11000);
  assert.deepEqual((await second.db.collection('ids').distinct('_id')).length, ids.length);
  await second.rows.deleteMany({});
  await second.db.collection('ids').drop();
  await second.stop();

  const third = await startedWith(t, { dir: first.dir });
  assert.equal(await third.rows.countDocuments(), 0);
  assert.equal((await third.db.listCollections().toArray()).length, 2);
  await third.stop();
});

test('SIGKILL: what was acknowledged is there, what was not committed is not', only, async (t) => {
  const dir = await folder(t);
  const first = await spawned(t, dir);
  const client = new MongoClient(first.url, { serverSelectionTimeoutMS: 5_000, retryWrites: false });
  const rows = client.db('test').collection<Row>('rows');
  const pairs = client.db('pairs').collection<Row>('rows');
  const acknowledged: string[] = [];
  const committed: string[] = [];

  const open = client.startSession();
  open.startTransaction();
  await client.db('open').collection<Row>('rows').insertOne({ _id: 'uncommitted' }, { session: open });

  const inserting = async (writer: number) => {
    for (let i = 0; ; i++) {
      const _id = `${writer}-${i}`;
      await rows.insertOne({ _id });
      acknowledged.push(_id);
    }
  };
  const transferring = async () => {
    for (let i = 0; ; i++) {
      const session = client.startSession();
      session.startTransaction();
      await pairs.insertOne({ _id: `a-${i}` }, { session });
      await pairs.insertOne({ _id: `b-${i}` }, { session });
      await session.commitTransaction();
      committed.push(`a-${i}`, `b-${i}`);
    }
  };
  const work = [inserting(1), inserting(2), inserting(3), transferring()].map((each) => each.catch(() => {}));
  await until(() => acknowledged.length >= 300 && committed.length >= 60, 60_000);
  await ended(first.child, 'SIGKILL');
  await Promise.all(work);
  await client.close();

  const second = await startedWith(t, { dir });
  assert.equal(await second.rows.countDocuments({ _id: { $in: acknowledged } }), acknowledged.length);
  const found = await second.client
    .db('pairs')
    .collection<Row>('rows')
    .find()
    .map(({ _id }) => _id)
    .toArray();
  for (const _id of committed) assert.ok(found.includes(_id), _id);
  for (const _id of found)
    assert.ok(found.includes(_id.replace(/^[ab]/, _id.startsWith('a') ? 'b' : 'a')), `half of ${_id}`);
  assert.equal(await second.client.db('open').collection('rows').countDocuments(), 0);
  await second.stop();
});

test('SIGKILL: at the very moment of the answer, a large write is there', only, async (t) => {
  const dir = await folder(t);
  const { child, url } = await spawned(t, dir);
  const connection = await rawConnection(url);
  const documents = Array.from({ length: 10_000 }, (_, _id) => ({ _id, text: 'x'.repeat(100) }));
  const answer = await connection.send({ insert: 'rows', documents, $db: 'test' });
  await ended(child, 'SIGKILL');
  assert.equal(answer.n, documents.length);
  const second = await startedWith(t, { dir });
  assert.equal(await second.rows.countDocuments(), documents.length);
  await second.stop();
});

test('SIGKILL: a write or a commit sent again afterwards is answered as before', only, async (t) => {
  const dir = await folder(t);
  const [writing, committing] = [newSession(), newSession()];
  const update = {
    update: 'rows',
    updates: [{ q: { _id: 'a' }, u: { $inc: { n: 1 } }, upsert: true }],
    $db: 'test',
    lsid: writing,
    txnNumber: Long.ONE,
  };
  const insert = { insert: 'rows', documents: [{ _id: 'b' }], $db: 'test', ...inTransaction(committing, 1, true) };
  const commit = commitOf(committing, 1);

  const { child, url } = await spawned(t, dir);
  const before = await rawConnection(url);
  before.socket.on('error', () => {});
  const first = await before.send(update);
  await before.send(insert);
  assert.equal((await before.send(commit)).ok, 1);
  await ended(child, 'SIGKILL');

  const second = await startedWith(t, { dir });
  const afterwards = await rawConnection(second.url);
  assert.deepEqual((await afterwards.send(update)).upserted, first.upserted);
  assert.equal((await afterwards.send(commit)).ok, 1);
  assert.equal((await second.rows.findOne({ _id: 'a' }))?.n, 1);
  afterwards.socket.destroy();
  await second.stop();
});

test('a folder: is served by one process only, and free after its end', only, async (t) => {
  const dir = await folder(t);
  const { child, url } = await spawned(t, dir);
  await assert.rejects(startMongoStandin({ dir }), /served by another process/);
  const client = new MongoClient(url);
  await client.db('test').collection('rows').insertOne({ a: 1 });
  await client.close();
  assert.equal(await ended(child, 'SIGTERM'), 0);
  const next = await startedWith(t, { dir });
  await assert.rejects(startMongoStandin({ dir }), /served by another process/);
  assert.equal(await next.rows.countDocuments(), 1);
  await next.stop();
});

test('bytes of another protocol: cost their connection only', only, async (t) => {
  const { port, client, stop } = await startedWith(t);
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.alloc(64),
    Buffer.from('\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'),
  ]) {
    const socket = connect(port, '127.0.0.1');
    socket.write(bytes);
    await once(socket, 'close');
  }
  assert.equal((await client.db('test').command({ ping: 1 })).ok, 1);
  await stop();
});

test('what is not supported: is refused, never ignored', only, async (t) => {
  const { rows, db, stop } = await startedWith(t);
  const refusals = [
    () => rows.find({}, { collation: { locale: 'en' } }).toArray(),
    () => rows.updateOne({}, { $set: { 'n.$[x]': 1 } }, { arrayFilters: [{ x: 1 }] }),
    () => rows.createIndex({ n: 'text' }),
    () => rows.createIndex({ n: 1 }, { collation: { locale: 'en' } }),
    () => db.createCollection('capped', { capped: true, size: 100 }),
    () => db.command({ collMod: 'rows', validator: {} }),
    () => rows.find({ $where: 'true' }).toArray(),
    () => rows.aggregate([{ $out: 'x' }]).toArray(),
    () => rows.watch().next(),
  ];
  for (const refused of refusals) await refusal(refused());
  await stop();
});
