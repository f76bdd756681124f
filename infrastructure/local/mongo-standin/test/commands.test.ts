// The commands and operators that the services use, as MongoDB documents them; also run against a real one (MONGO_URL).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decimal128, type Document, Long, ObjectId, UUID } from 'mongodb';
import { isStandin, refusal, until, useServer } from './server.ts';

const server = useServer();
/** Any document with any kind of id. */
interface Row extends Document {
  _id: string | number | ObjectId;
}
let made = 0;

async function collectionOf(...docs: Document[]) {
  const collection = server.db.collection<Row>(`c${++made}`);
  if (docs.length > 0) await collection.insertMany(docs as Row[]);
  return collection;
}

/** The document after one update. */
async function updated(doc: Document, update: Document | Document[], filter: Document = {}): Promise<Document | null> {
  const collection = await collectionOf({ _id: 1, ...doc });
  await collection.updateOne({ _id: 1, ...filter }, update);
  return collection.findOne({}, { projection: { _id: 0 } });
}

async function updateRefusal(doc: Document, update: Document | Document[]): Promise<number | string | undefined> {
  const collection = await collectionOf({ _id: 1, ...doc });
  const error = await refusal(collection.updateOne({ _id: 1 }, update));
  assert.deepEqual(await collection.findOne({}), { _id: 1, ...doc });
  return error.code;
}

async function ids(docs: Document[], filter: Document, options: Document = {}): Promise<unknown[]> {
  const collection = await collectionOf(...docs);
  const found = await collection.find(filter, { sort: { _id: 1 }, ...options }).toArray();
  return found.map(({ _id }) => _id);
}

test('hello: names a primary of a replica set that knows sessions', async () => {
  const hello = await server.db.admin().command({ hello: 1 });
  assert.equal(hello.isWritablePrimary, true);
  assert.equal(hello.setName, 'rs0');
  assert.equal(hello.logicalSessionTimeoutMinutes, 30);
  assert.ok(hello.maxWireVersion >= 21);
});

test('ping, buildInfo, connectionStatus: are answered', async () => {
  assert.equal((await server.db.command({ ping: 1 })).ok, 1);
  assert.match((await server.db.admin().command({ buildInfo: 1 })).version, /^\d+\.\d+\.\d+/);
  assert.deepEqual((await server.db.command({ connectionStatus: 1 })).authInfo.authenticatedUsers, []);
});

test('a command that does not exist: CommandNotFound', async () => {
  const error = await refusal(server.db.command({ noSuchCommand: 1 }));
  assert.deepEqual([error.code, error.codeName], [59, 'CommandNotFound']);
});

test('values: come back as they went in', async () => {
  const doc = {
    _id: new ObjectId(),
    text: 'naïve 🛒 \u0000 end',
    int: 1,
    big: 9_007_199_254_740_991,
    half: 0.5,
    negative: -3,
    yes: true,
    nothing: null,
    at: new Date('2026-02-03T04:05:06.789Z'),
    uuid: new UUID('018f3f2e-0000-7000-8000-000000000001'),
    decimal: Decimal128.fromString('19.99'),
    list: [1, 'two', { three: 3 }, []],
    nested: { deep: { deeper: [] } },
    pattern: /^a.*z$/i,
  };
  const collection = await collectionOf(doc);
  assert.deepEqual(await collection.findOne({ _id: doc._id }), doc);
  for (const field of ['text', 'big', 'at', 'uuid', 'decimal', 'nested'] as const) {
    assert.equal(await collection.countDocuments({ [field]: doc[field] }), 1, field);
  }
  assert.equal(await collection.countDocuments({ int: Long.fromNumber(1) }), 1);
});

test('insert: an _id that is there is a duplicate key, with the key', async () => {
  const collection = await collectionOf({ _id: 'a' });
  const error = await refusal(collection.insertOne({ _id: 'a' }));
  assert.equal(error.code, 11000);
  assert.deepEqual(error.errorResponse.keyPattern, { _id: 1 });
  if (isStandin) assert.deepEqual(error.errorResponse.keyValue, { _id: 'a' });
});

test('insertMany: ordered stops at the first refusal, unordered goes on', async () => {
  const ordered = await collectionOf({ _id: 2 });
  const docs = [{ _id: 1 }, { _id: 2 }, { _id: 3 }];
  await refusal(ordered.insertMany(docs));
  assert.equal(await ordered.countDocuments(), 2);
  const unordered = await collectionOf({ _id: 2 });
  await refusal(unordered.insertMany(docs, { ordered: false }));
  assert.equal(await unordered.countDocuments(), 3);
});

test('insert: without _id is given one; an array as _id is refused', async () => {
  const collection = await collectionOf();
  await server.db.command({ insert: collection.collectionName, documents: [{ a: 1 }] });
  assert.ok((await collection.findOne())?._id instanceof ObjectId);
  await refusal(collection.insertOne({ _id: [1] } as unknown as Row));
});

const shelf: Document[] = [
  { _id: 1, name: 'kettle', price: 1999, tags: ['steel', 'hot'], stock: { left: 3 }, at: new Date(1_000) },
  { _id: 2, name: 'mug', price: 500, tags: ['hot'], stock: { left: 0 }, at: new Date(2_000), gone: null },
  {
    _id: 3,
    name: 'Plate',
    price: 700,
    tags: [],
    items: [
      { p: 'x', q: 1 },
      { p: 'y', q: 5 },
    ],
  },
  { _id: 4, name: 'pan', items: [{ p: 'x', q: 5 }] },
];

const filters: [string, Document, number[]][] = [
  ['equality', { name: 'mug' }, [2]],
  ['a dotted path', { 'stock.left': 0 }, [2]],
  ['an element of an array', { tags: 'hot' }, [1, 2]],
  ['a whole array', { tags: ['steel', 'hot'] }, [1]],
  ['a path through an array', { 'items.p': 'x' }, [3, 4]],
  ['null matches missing', { gone: null }, [1, 2, 3, 4]],
  ['$exists', { gone: { $exists: true } }, [2]],
  ['$ne', { name: { $ne: 'mug' } }, [1, 3, 4]],
  ['$gt and $lte', { price: { $gt: 500, $lte: 1999 } }, [1, 3]],
  ['$lt compares only within a type', { at: { $lt: new Date(1_500) } }, [1]],
  ['$gte on strings, by code unit', { name: { $gte: 'm' } }, [2, 4]],
  ['$in', { name: { $in: ['mug', 'pan'] } }, [2, 4]],
  ['$in with null', { price: { $in: [null, 500] } }, [2, 4]],
  ['$nin', { name: { $nin: ['mug', 'pan'] } }, [1, 3]],
  ['$or', { $or: [{ name: 'mug' }, { price: 700 }] }, [2, 3]],
  ['$and', { $and: [{ price: { $gt: 1 } }, { tags: 'hot' }] }, [1, 2]],
  ['$nor', { $nor: [{ name: 'mug' }, { price: 700 }] }, [1, 4]],
  ['$not', { price: { $not: { $gt: 600 } } }, [2, 4]],
  ['$regex', { name: { $regex: '^p', $options: 'i' } }, [3, 4]],
  ['a pattern', { name: /^p/ }, [4]],
  ['$size', { tags: { $size: 2 } }, [1]],
  ['$all', { tags: { $all: ['hot', 'steel'] } }, [1]],
  ['$elemMatch', { items: { $elemMatch: { p: 'x', q: 5 } } }, [4]],
  ['$type', { price: { $type: 'number' } }, [1, 2, 3]],
  ['$expr across types: missing is less than a date', { $expr: { $lt: ['$at', '$$NOW'] } }, [1, 2, 3, 4]],
  ['$expr with arithmetic', { $expr: { $gte: [{ $add: ['$price', 1] }, 2000] } }, [1]],
];
for (const [name, filter, expected] of filters) {
  test(`find: ${name}`, async () => {
    assert.deepEqual(await ids(shelf, filter), expected);
    // The same with an index to look it up in.
    const indexed = await collectionOf(...shelf);
    for (const key of ['name', 'price', 'tags', 'stock.left', 'items.p', 'gone', 'at'])
      await indexed.createIndex({ [key]: 1 });
    const found = await indexed.find(filter, { sort: { _id: 1 } }).toArray();
    assert.deepEqual(
      found.map(({ _id }) => _id),
      expected,
    );
  });
}

test('find: an unknown operator is a BadValue, at any depth', async () => {
  const collection = await collectionOf();
  for (const filter of [{ a: { $foo: 1 } }, { $foo: 1 }, { $or: [{ $foo: 1 }] }, { $and: [] }, { a: { $in: 1 } }]) {
    assert.equal((await refusal(collection.find(filter).toArray())).code, 2, JSON.stringify(filter));
  }
});

test('find: sort, skip and limit', async () => {
  assert.deepEqual(await ids(shelf, {}, { sort: { price: -1, _id: 1 }, skip: 1, limit: 2 }), [3, 2]);
  assert.deepEqual(await ids(shelf, {}, { sort: { price: 1 } }), [4, 2, 3, 1]);
  assert.deepEqual(await ids(shelf, {}, { sort: { 'items.q': -1, _id: -1 } }), [4, 3, 2, 1]);
});

test('find: sorts unlike types in the order of BSON types', async () => {
  const values = [true, new Date(0), 'b', 2, null, { a: 1 }, 'a', -1, new ObjectId('000000000000000000000001')];
  const docs = values.map((value, _id) => ({ _id, value }));
  const expected = [4, 7, 3, 6, 2, 5, 8, 0, 1];
  assert.deepEqual(await ids(docs, {}, { sort: { value: 1 } }), expected);
  assert.deepEqual(await ids(docs, {}, { sort: { value: -1 } }), expected.toReversed());
});

test('find: projections include, exclude, and reach into documents without harm to what is stored', async () => {
  const collection = await collectionOf(shelf[0] ?? {});
  const shown = (projection: Document) => collection.findOne({}, { projection });
  assert.deepEqual(await shown({ name: 1 }), { _id: 1, name: 'kettle' });
  assert.deepEqual(await shown({ name: 1, _id: 0 }), { name: 'kettle' });
  assert.deepEqual(await shown({ 'stock.left': 1 }), { _id: 1, stock: { left: 3 } });
  assert.deepEqual(await shown({ 'stock.left': 0, tags: 0, at: 0 }), {
    _id: 1,
    name: 'kettle',
    price: 1999,
    stock: {},
  });
  assert.deepEqual(await shown({ _id: 0, tags: { $slice: 1 }, name: 1 }), { tags: ['steel'], name: 'kettle' });
  assert.deepEqual(await collection.findOne(), shelf[0]);
});

test('find: batches come by getMore; a cursor that is not there is CursorNotFound', async () => {
  const docs = Array.from({ length: 250 }, (_, _id) => ({ _id }));
  const collection = await collectionOf(...docs);
  assert.equal((await collection.find({}).toArray()).length, 250);
  const cursor = collection.find({}, { batchSize: 10, sort: { _id: 1 } });
  for (let i = 0; i < 25; i++) assert.equal((await cursor.next())?._id, i);
  await cursor.close();
  const first = await server.db.command({ find: collection.collectionName, batchSize: 2 });
  assert.equal(first.cursor.firstBatch.length, 2);
  await server.db.command({ killCursors: collection.collectionName, cursors: [first.cursor.id] });
  const gone = server.db.command({ getMore: Long.fromBits(7, 0), collection: collection.collectionName });
  assert.equal((await refusal(gone)).code, 43);
});

test('find: a batch ends before the answer grows too large', async () => {
  const docs = Array.from({ length: 20 }, (_, _id) => ({ _id, text: 'x'.repeat(1_000_000) }));
  const collection = await collectionOf(...docs);
  const { cursor } = await server.db.command({ find: collection.collectionName, batchSize: 100 });
  assert.ok(cursor.firstBatch.length < 17);
  assert.equal((await collection.find({}).toArray()).length, 20);
});

test('countDocuments, estimatedDocumentCount, distinct', async () => {
  const collection = await collectionOf(...shelf);
  assert.equal(await collection.countDocuments({ price: { $gt: 500 } }), 2);
  assert.equal(await collection.countDocuments({}, { skip: 1, limit: 2 }), 2);
  assert.equal(await collection.countDocuments({ price: 1 }), 0);
  assert.equal(await collection.estimatedDocumentCount(), 4);
  assert.deepEqual((await collection.distinct('tags')).sort(), ['hot', 'steel']);
  assert.deepEqual(
    await collection.distinct('price', { tags: 'hot' }).then((prices) => prices.sort((a, b) => a - b)),
    [500, 1999],
  );
});

const updates: [string, Document, Document | Document[], Document][] = [
  ['$set', { a: 1 }, { $set: { a: 2, 'b.c': 3 } }, { a: 2, b: { c: 3 } }],
  ['$set an element', { a: [1, 2] }, { $set: { 'a.1': 5, 'a.3': 6 } }, { a: [1, 5, null, 6] }],
  ['$unset', { a: 1, b: { c: 1, d: 2 } }, { $unset: { a: '', 'b.c': '', 'x.y': '' } }, { b: { d: 2 } }],
  ['$inc', { a: 1 }, { $inc: { a: -3, 'b.c': 2 } }, { a: -2, b: { c: 2 } }],
  ['$mul', { a: 3 }, { $mul: { a: 2, b: 5 } }, { a: 6, b: 0 }],
  ['$min', { a: 3, b: 3 }, { $min: { a: 2, b: 5, c: 1 } }, { a: 2, b: 3, c: 1 }],
  ['$max', { a: new Date(1), b: 3 }, { $max: { a: new Date(2), b: 1 } }, { a: new Date(2), b: 3 }],
  ['$push', { a: [1] }, { $push: { a: 2, b: 3 } }, { a: [1, 2], b: [3] }],
  ['$push with $each and $slice', { a: [1, 2] }, { $push: { a: { $each: [3, 4], $slice: -3 } } }, { a: [2, 3, 4] }],
  [
    '$push with $position and $sort',
    { a: [3] },
    { $push: { a: { $each: [1, 2], $position: 0, $sort: -1 } } },
    { a: [3, 2, 1] },
  ],
  ['$addToSet', { a: [{ x: 1 }] }, { $addToSet: { a: { x: 1 } } }, { a: [{ x: 1 }] }],
  ['$addToSet with $each', { a: [1] }, { $addToSet: { a: { $each: [1, 2, 2] }, b: 1 } }, { a: [1, 2], b: [1] }],
  ['$pull a value', { a: [1, 2, 1] }, { $pull: { a: 1, b: 1 } }, { a: [2] }],
  ['$pull by condition', { a: [1, 2, 3] }, { $pull: { a: { $gte: 2 } } }, { a: [1] }],
  ['$pull documents', { a: [{ x: 1, y: 1 }, { x: 2 }] }, { $pull: { a: { x: 1 } } }, { a: [{ x: 2 }] }],
  [
    '$setOnInsert on a document that is there',
    { a: 1 },
    { $setOnInsert: { a: 2, b: 2 }, $set: { c: 1 } },
    { a: 1, c: 1 },
  ],
  ['a pipeline', { a: 1 }, [{ $set: { b: { $add: ['$a', 1] } } }, { $unset: 'a' }], { b: 2 }],
  [
    '$cond and $lt in a pipeline',
    { a: 1 },
    [{ $set: { b: { $cond: [{ $lt: ['$a', 2] }, 'low', 'high'] } } }],
    { a: 1, b: 'low' },
  ],
  ['$ifNull in a pipeline', { a: null }, [{ $set: { b: { $ifNull: ['$a', '$x', 7] } } }], { a: null, b: 7 }],
  ['a dotted path in a pipeline', { a: { b: 1, c: 2 } }, [{ $set: { 'a.b': 5 } }], { a: { b: 5, c: 2 } }],
  [
    '$dateAdd',
    { a: new Date(0) },
    [{ $set: { a: { $dateAdd: { startDate: '$a', unit: 'second', amount: 30 } } } }],
    { a: new Date(30_000) },
  ],
  [
    '$dateAdd without a date',
    { b: 1 },
    [{ $set: { a: { $dateAdd: { startDate: '$a', unit: 'second', amount: 30 } } } }],
    { a: null, b: 1 },
  ],
  ['$literal', {}, [{ $set: { a: { $literal: '$b' } } }], { a: '$b' }],
  [
    'arrays in a pipeline',
    { a: [1, 2, 3] },
    [{ $set: { a: { $filter: { input: '$a', as: 'n', cond: { $gt: ['$$n', 1] } } }, n: { $size: '$a' } } }],
    { a: [2, 3], n: 3 },
  ],
];
for (const [name, doc, update, expected] of updates) {
  test(`update: ${name}`, async () => assert.deepEqual(await updated(doc, update), expected));
}

const refused: [string, Document, Document | Document[], number][] = [
  ['an unknown operator', { a: 1 }, { $foo: { a: 1 } }, 9],
  ['two operators on one path', { a: 1 }, { $set: { a: 1 }, $inc: { a: 1 } }, 40],
  ['a path and its beginning', { a: {} }, { $set: { a: 1, 'a.b': 1 } }, 40],
  ['another _id', { a: 1 }, { $set: { _id: 2 } }, 66],
  ['another _id by pipeline', { a: 1 }, [{ $set: { _id: 2 } }], 66],
  ['$inc of a text', { a: 'x' }, { $inc: { a: 1 } }, 14],
  ['$inc by a text', { a: 1 }, { $inc: { a: 'x' } }, 14],
  ['$push to what is no array', { a: 1 }, { $push: { a: 1 } }, 2],
  ['$addToSet to what is no array', { a: 1 }, { $addToSet: { a: 1 } }, 2],
  ['$pull from what is no array', { a: 1 }, { $pull: { a: 1 } }, 2],
  ['a path through a number', { a: 1 }, { $set: { 'a.b': 1 } }, 28],
  ['a stage that an update may not have', { a: 1 }, [{ $match: { a: 1 } }], 72],
  ['an unknown stage', { a: 1 }, [{ $foo: { a: 1 } }], 40324],
];
for (const [name, doc, update, code] of refused) {
  test(`update: refuses ${name}, with code ${code}`, async () => {
    assert.equal(await updateRefusal(doc, update), code);
  });
}

test('update: counts what matched and what changed', async () => {
  const collection = await collectionOf({ _id: 1, a: 1 }, { _id: 2, a: 2 });
  const same = await collection.updateOne({ _id: 1 }, { $set: { a: 1 } });
  assert.deepEqual([same.matchedCount, same.modifiedCount], [1, 0]);
  const many = await collection.updateMany({}, { $max: { a: 2 } });
  assert.deepEqual([many.matchedCount, many.modifiedCount], [2, 1]);
  const none = await collection.updateOne({ _id: 3 }, { $set: { a: 1 } });
  assert.deepEqual([none.matchedCount, none.upsertedCount], [0, 0]);
});

test('update: $currentDate and $$NOW are the clock of the database', async () => {
  const before = Date.now() - 60_000;
  const doc = (await updated({}, { $currentDate: { a: true, b: { $type: 'date' } } })) ?? {};
  const now = (await updated({}, [{ $set: { a: '$$NOW' } }])) ?? {};
  for (const at of [doc.a, doc.b, now.a]) assert.ok(at instanceof Date && at.getTime() > before);
});

test('upsert: begins with what the filter fixes', async () => {
  const collection = await collectionOf();
  const filter = { _id: 'o1', 'a.b': 1, c: { $eq: 2 }, d: { $gt: 3 } };
  const first = await collection.updateOne(filter, { $setOnInsert: { e: 4 }, $inc: { n: 1 } }, { upsert: true });
  assert.deepEqual([first.upsertedId, first.upsertedCount, first.matchedCount], ['o1', 1, 0]);
  assert.deepEqual(await collection.findOne(), { _id: 'o1', a: { b: 1 }, c: 2, e: 4, n: 1 });
  const second = await collection.updateOne(
    { _id: 'o1' },
    { $setOnInsert: { e: 5 }, $inc: { n: 1 } },
    { upsert: true },
  );
  assert.deepEqual([second.upsertedId, second.modifiedCount], [null, 1]);
  assert.deepEqual(await collection.findOne(), { _id: 'o1', a: { b: 1 }, c: 2, e: 4, n: 2 });
});

test('upsert: by pipeline, and with an _id of the server', async () => {
  const collection = await collectionOf();
  const { upsertedId } = await collection.updateOne(
    { a: 1 },
    [{ $set: { n: { $add: [{ $ifNull: ['$n', 0] }, 1] } } }],
    { upsert: true },
  );
  assert.ok(upsertedId instanceof ObjectId);
  assert.deepEqual(await collection.findOne({}, { projection: { _id: 0 } }), { a: 1, n: 1 });
});

test('upsert: where the filter hides the document that is there, a duplicate key', async () => {
  const collection = await collectionOf({ _id: 1, a: 1 });
  const error = await refusal(collection.updateOne({ _id: 1, a: 2 }, { $set: { b: 1 } }, { upsert: true }));
  assert.equal(error.code, 11000);
});

test('replaceOne: keeps the _id, refuses another', async () => {
  const collection = await collectionOf({ _id: 1, a: 1 });
  await collection.replaceOne({ a: 1 }, { b: 2 });
  assert.deepEqual(await collection.findOne(), { _id: 1, b: 2 });
  assert.equal((await refusal(collection.replaceOne({ _id: 1 }, { _id: 2 } as Document))).code, 66);
});

test('deleteOne, deleteMany', async () => {
  const collection = await collectionOf(...shelf);
  assert.equal((await collection.deleteOne({ tags: 'hot' })).deletedCount, 1);
  assert.equal((await collection.deleteMany({ price: { $exists: true } })).deletedCount, 2);
  assert.equal((await collection.deleteMany({ _id: { $in: [4, 5] } })).deletedCount, 1);
});

test('bulkWrite: mixes operations', async () => {
  const collection = await collectionOf({ _id: 1 });
  const result = await collection.bulkWrite([
    { insertOne: { document: { _id: 2 } } },
    { updateOne: { filter: { _id: 1 }, update: { $set: { a: 1 } } } },
    { deleteOne: { filter: { _id: 2 } } },
    { updateOne: { filter: { _id: 3 }, update: { $set: { a: 1 } }, upsert: true } },
  ]);
  assert.deepEqual(
    [result.insertedCount, result.modifiedCount, result.deletedCount, result.upsertedCount],
    [1, 1, 1, 1],
  );
});

test('findOneAndUpdate: before, after, sorted, projected, upserted, nothing found', async () => {
  const collection = await collectionOf({ _id: 1, a: 1 }, { _id: 2, a: 2 });
  assert.deepEqual(await collection.findOneAndUpdate({ _id: 1 }, { $inc: { a: 5 } }), { _id: 1, a: 1 });
  assert.deepEqual(await collection.findOneAndUpdate({ _id: 1 }, { $inc: { a: 1 } }, { returnDocument: 'after' }), {
    _id: 1,
    a: 7,
  });
  const last = await collection.findOneAndUpdate({}, [{ $set: { a: 0 } }], { sort: { a: -1 }, projection: { _id: 1 } });
  assert.deepEqual(last, { _id: 1 });
  assert.equal(await collection.findOneAndUpdate({ _id: 9 }, { $set: { a: 1 } }), null);
  assert.equal(await collection.findOneAndUpdate({ _id: 9 }, { $set: { a: 1 } }, { upsert: true }), null);
  const upserted = await collection.findOneAndUpdate(
    { _id: 8 },
    { $set: { a: 1 } },
    { upsert: true, returnDocument: 'after', includeResultMetadata: true },
  );
  assert.deepEqual(upserted.value, { _id: 8, a: 1 });
  assert.equal(upserted.lastErrorObject?.upserted, 8);
});

test('findOneAndReplace, findOneAndDelete', async () => {
  const collection = await collectionOf({ _id: 1, a: 1 });
  assert.deepEqual(await collection.findOneAndReplace({ a: 1 }, { b: 1 }, { returnDocument: 'after' }), {
    _id: 1,
    b: 1,
  });
  assert.deepEqual(await collection.findOneAndDelete({ b: 1 }), { _id: 1, b: 1 });
  assert.equal(await collection.findOneAndDelete({ b: 1 }), null);
});

test('findOneAndUpdate: a duplicate key is an error of the command', async () => {
  const collection = await collectionOf({ _id: 1, a: 1 }, { _id: 2, a: 2 });
  await collection.createIndex({ a: 1 }, { unique: true });
  const error = await refusal(collection.findOneAndUpdate({ _id: 2 }, { $set: { a: 1 } }));
  assert.deepEqual([error.code, error.codeName], [11000, 'DuplicateKey']);
});

const sales: Document[] = [
  { _id: 1, item: 'a', n: 2, tags: ['x', 'y'] },
  { _id: 2, item: 'b', n: 1, tags: [] },
  { _id: 3, item: 'a', n: 3 },
];
const pipelines: [string, Document[], unknown[]][] = [
  [
    '$match, $group, $sort',
    [
      { $match: { n: { $gt: 0 } } },
      { $group: { _id: '$item', sum: { $sum: '$n' }, most: { $max: '$n' }, all: { $push: '$_id' } } },
      { $sort: { _id: 1 } },
    ],
    [
      { _id: 'a', sum: 5, most: 3, all: [1, 3] },
      { _id: 'b', sum: 1, most: 1, all: [2] },
    ],
  ],
  [
    '$group of everything',
    [{ $group: { _id: null, average: { $avg: '$n' }, n: { $sum: 1 } } }],
    [{ _id: null, average: 2, n: 3 }],
  ],
  [
    '$sort, $skip, $limit, $project',
    [{ $sort: { n: -1 } }, { $skip: 1 }, { $limit: 1 }, { $project: { double: { $multiply: ['$n', 2] } } }],
    [{ _id: 1, double: 4 }],
  ],
  [
    '$unwind',
    [{ $unwind: '$tags' }, { $project: { tags: 1 } }, { $sort: { tags: 1 } }],
    [
      { _id: 1, tags: 'x' },
      { _id: 1, tags: 'y' },
    ],
  ],
  [
    '$unwind that keeps empty ones',
    [{ $unwind: { path: '$tags', preserveNullAndEmptyArrays: true } }, { $count: 'n' }],
    [{ n: 4 }],
  ],
  ['$count', [{ $match: { item: 'a' } }, { $count: 'n' }], [{ n: 2 }]],
  [
    '$addFields, $unset',
    [{ $match: { _id: 1 } }, { $addFields: { m: { $subtract: ['$n', 1] } } }, { $unset: ['tags', 'item'] }],
    [{ _id: 1, n: 2, m: 1 }],
  ],
  ['$replaceRoot', [{ $match: { _id: 1 } }, { $replaceRoot: { newRoot: { it: '$item' } } }], [{ it: 'a' }]],
  [
    '$facet',
    [{ $facet: { few: [{ $match: { n: 1 } }, { $project: { _id: 1 } }], count: [{ $count: 'n' }] } }],
    [{ few: [{ _id: 2 }], count: [{ n: 3 }] }],
  ],
  [
    '$lookup of itself',
    [
      { $match: { _id: 2 } },
      { $lookup: { from: 'SELF', localField: 'item', foreignField: 'item', as: 'same' } },
      { $project: { n: { $size: '$same' } } },
    ],
    [{ _id: 2, n: 1 }],
  ],
];
for (const [name, pipeline, expected] of pipelines) {
  test(`aggregate: ${name}`, async () => {
    const collection = await collectionOf(...sales);
    const own = JSON.parse(JSON.stringify(pipeline).replaceAll('SELF', collection.collectionName)) as Document[];
    assert.deepEqual(await collection.aggregate(own).toArray(), expected);
    assert.deepEqual(await collection.find({}, { sort: { _id: 1 } }).toArray(), sales);
  });
}

test('aggregate: $sort has the order of BSON types', async () => {
  const values = [true, 2, null, 'a', { a: 1 }, new Date(0), new ObjectId()];
  const collection = await collectionOf(...values.map((value, _id) => ({ _id, value })));
  const sorted = await collection.aggregate([{ $addFields: { x: 1 } }, { $sort: { value: 1 } }]).toArray();
  assert.deepEqual(
    sorted.map(({ _id }) => _id),
    [2, 1, 3, 4, 6, 0, 5],
  );
});

test('aggregate: an unknown stage is Location40324, a stage with two names Location40323', async () => {
  const collection = await collectionOf({ _id: 1 });
  assert.equal((await refusal(collection.aggregate([{ $foo: 1 }]).toArray())).code, 40324);
  assert.equal((await refusal(collection.aggregate([{ $match: {}, $limit: 1 }]).toArray())).code, 40323);
});

test('aggregate: an unknown expression is refused before a document is read', async () => {
  const collection = await collectionOf();
  await refusal(collection.aggregate([{ $project: { a: { $foo: 1 } } }]).toArray());
  await refusal(collection.find({ $expr: { $foo: 1 } }).toArray());
});

test('let: variables of a command', async () => {
  const collection = await collectionOf(...sales);
  const found = await collection.find({ $expr: { $eq: ['$n', '$$wanted'] } }, { let: { wanted: 3 } }).toArray();
  assert.deepEqual(
    found.map(({ _id }) => _id),
    [3],
  );
});

test('let: its values are expressions', async () => {
  const collection = await collectionOf({ _id: 1, at: new Date(0) });
  const older = { $expr: { $lt: ['$at', '$$before'] } };
  assert.equal((await collection.find(older, { let: { before: '$$NOW' } }).toArray()).length, 1);
  const many = await collection.updateMany(older, [{ $set: { seen: '$$before' } }], { let: { before: '$$NOW' } });
  assert.equal(many.modifiedCount, 1);
});

test('indexes: unique, also compound, on insert and on update', async () => {
  const collection = await collectionOf({ _id: 1, user: 'u', key: 'k' });
  await collection.createIndex({ user: 1, key: 1 }, { unique: true });
  const error = await refusal(collection.insertOne({ _id: 2, user: 'u', key: 'k' }));
  assert.equal(error.code, 11000);
  assert.deepEqual(error.errorResponse.keyPattern, { user: 1, key: 1 });
  if (isStandin) assert.deepEqual(error.errorResponse.keyValue, { user: 'u', key: 'k' });
  await collection.insertOne({ _id: 2, user: 'u', key: 'l' });
  assert.equal((await refusal(collection.updateOne({ _id: 2 }, { $set: { key: 'k' } }))).code, 11000);
  await collection.deleteOne({ _id: 1 });
  await collection.updateOne({ _id: 2 }, { $set: { key: 'k' } });
});

test('indexes: unique over missing values, over arrays, sparse and partial', async () => {
  const plain = await collectionOf({ _id: 1 });
  await plain.createIndex({ a: 1 }, { unique: true });
  assert.equal((await refusal(plain.insertOne({ _id: 2 }))).code, 11000);

  const arrays = await collectionOf({ _id: 1, a: [1, 2] });
  await arrays.createIndex({ a: 1 }, { unique: true });
  assert.equal((await refusal(arrays.insertOne({ _id: 2, a: [2, 3] }))).code, 11000);

  const sparse = await collectionOf({ _id: 1 }, { _id: 2 });
  await sparse.createIndex({ a: 1 }, { unique: true, sparse: true });
  await sparse.insertOne({ _id: 3 });
  assert.deepEqual((await sparse.find({ a: null }, { sort: { a: 1, _id: 1 } }).toArray()).length, 3);

  const partial = await collectionOf({ _id: 1, a: 1, open: true });
  await partial.createIndex({ a: 1 }, { unique: true, partialFilterExpression: { open: true } });
  await partial.insertOne({ _id: 2, a: 1, open: false });
  assert.equal((await refusal(partial.insertOne({ _id: 3, a: 1, open: true }))).code, 11000);
  assert.equal(await partial.countDocuments({ a: 1 }), 2);
});

test('indexes: a partial one follows a document into its condition and out of it', async () => {
  const collection = await collectionOf({ _id: 1, a: 1, open: false }, { _id: 2, a: 1, open: false });
  await collection.createIndex({ a: 1 }, { unique: true, partialFilterExpression: { open: true } });
  await collection.updateOne({ _id: 1 }, { $set: { open: true } });
  assert.deepEqual(await collection.find({ a: 1, open: true }).toArray(), [{ _id: 1, a: 1, open: true }]);
  assert.equal((await refusal(collection.updateOne({ _id: 2 }, { $set: { open: true } }))).code, 11000);
  await collection.updateOne({ _id: 1 }, { $set: { open: false } });
  await collection.updateOne({ _id: 2 }, { $set: { open: true } });
  assert.deepEqual(await collection.find({ a: 1, open: true }).toArray(), [{ _id: 2, a: 1, open: true }]);
});

test('createIndexes: over duplicates is refused, and leaves no index', async () => {
  const collection = await collectionOf({ _id: 1, a: 1 }, { _id: 2, a: 1 });
  assert.equal((await refusal(collection.createIndex({ a: 1 }, { unique: true }))).code, 11000);
  assert.equal((await collection.indexes()).length, 1);
});

test('createIndexes: again is no error; another index of that name or key is one', async () => {
  const collection = await collectionOf({ _id: 1 });
  assert.equal(await collection.createIndex({ a: 1 }), 'a_1');
  assert.equal(await collection.createIndex({ a: 1 }), 'a_1');
  await collection.createIndex({ b: -1 }, { expireAfterSeconds: 60 });
  const listed = (await collection.indexes()).map(({ name, key }) => [name, key]);
  assert.deepEqual(listed, [
    ['_id_', { _id: 1 }],
    ['a_1', { a: 1 }],
    ['b_-1', { b: -1 }],
  ]);
  assert.equal((await refusal(collection.createIndex({ c: 1 }, { name: 'a_1' }))).code, 86);
  assert.equal((await refusal(collection.createIndex({ a: 1 }, { name: 'other' }))).code, 85);
});

test('dropIndexes: by name; one that is not there is IndexNotFound', async () => {
  const collection = await collectionOf({ _id: 1 });
  await collection.createIndex({ a: 1 });
  await collection.dropIndex('a_1');
  assert.equal((await collection.indexes()).length, 1);
  assert.equal((await refusal(collection.dropIndex('a_1'))).code, 27);
  assert.equal((await refusal(server.db.collection('absent').dropIndex('a_1'))).code, 26);
});

test('TTL: removes what is older, and nothing else', { timeout: 150_000 }, async () => {
  const collection = await collectionOf(
    { _id: 1, at: new Date(Date.now() - 5_000) },
    { _id: 2, at: new Date(Date.now() + 600_000) },
    { _id: 3 },
    { _id: 4, at: 'text' },
  );
  await collection.createIndex({ at: 1 }, { expireAfterSeconds: 1 });
  await until(async () => (await collection.countDocuments({ _id: 1 })) === 0, 140_000);
  assert.equal(await collection.countDocuments({}), 3);
});

test('listCollections, listDatabases, create, drop, dropDatabase', async () => {
  const db = server.client.db(`${server.db.databaseName}_b`);
  await db.createCollection('one');
  await db.createCollection('one');
  await db.collection('two').insertOne({ a: 1 });
  assert.deepEqual((await db.listCollections().toArray()).map(({ name }) => name).sort(), ['one', 'two']);
  assert.deepEqual(
    (await db.listCollections({ name: 'two' }, { nameOnly: true }).toArray()).map(({ name }) => name),
    ['two'],
  );
  const names = (await server.client.db().admin().listDatabases({ nameOnly: true })).databases.map(({ name }) => name);
  assert.ok(names.includes(db.databaseName));
  assert.equal(await db.collection('one').drop(), true);
  await db.dropDatabase();
  assert.deepEqual(await db.listCollections().toArray(), []);
  assert.equal((await refusal(db.collection('two').indexes())).code, 26);
});

test('a collection that is not there: is empty', async () => {
  const absent = server.db.collection('absent');
  assert.deepEqual(await absent.find({ a: 1 }).toArray(), []);
  assert.equal(await absent.countDocuments(), 0);
  assert.equal((await absent.deleteMany({})).deletedCount, 0);
  assert.equal((await absent.updateOne({}, { $set: { a: 1 } })).matchedCount, 0);
});

test('write concern, read concern, read preference, comment and hint: are accepted', async () => {
  const collection = await collectionOf({ _id: 1, a: 1 });
  await collection.updateOne(
    { _id: 1 },
    { $set: { a: 2 } },
    { writeConcern: { w: 'majority', journal: true }, comment: 'c' },
  );
  const options = { readConcern: { level: 'majority' }, comment: 'c', hint: '_id_', maxTimeMS: 1000 } as const;
  assert.equal((await collection.findOne({ a: 2 }, options))?._id, 1);
});
