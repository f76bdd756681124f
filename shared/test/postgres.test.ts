// The PostgreSQL side of the chassis against a real server.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { after, before, beforeEach, test } from 'node:test';
import {
  createConsumerDatabase,
  createDatabase,
  type Database,
  HAS_BEGUN,
  inTransaction,
  type Transaction,
} from '@glasshouse/shared/postgres';
import { createTestPostgres, quietLogger } from '@glasshouse/shared/testing';
import type pg from 'pg';

let postgres: Awaited<ReturnType<typeof createTestPostgres>>;
let database: Database;

before(async () => {
  postgres = await createTestPostgres(`${import.meta.dirname}/migrations`);
  database = createDatabase({ url: postgres.url, service: 'test', logger: quietLogger, maxConnections: 2 });
});

beforeEach(async () => {
  await postgres.pool.query('drop table if exists notes');
  await postgres.pool.query('create table notes (position serial, text text primary key)');
});

after(async () => {
  await database.stop();
  await postgres.drop();
});

const write = (tx: Transaction, text: string) => tx.query('insert into notes (text) values ($1)', [text]);
const written = async () =>
  (await postgres.pool.query('select text from notes order by position')).rows.map(({ text }) => text);

test('a transaction: statements that go out together run in the order of asking', async () => {
  const texts = Array.from({ length: 50 }, (_, index) => `note ${index}`);
  await inTransaction(database, (tx) => Promise.all(texts.map((text) => write(tx, text))));
  assert.deepEqual(await written(), texts);
});

test('a transaction: where one of several statements fails, the error is its own and nothing is written', async () => {
  const work = (tx: Transaction) =>
    Promise.all([write(tx, 'first'), tx.query('select 1 / $1::integer', [0]), write(tx, 'last')]);
  await assert.rejects(inTransaction(database, work), /division by zero/);
  assert.deepEqual(await written(), []);
});

test('a transaction: what follows a statement that went out with one that fails does not run outside', async () => {
  const over = Promise.withResolvers<void>();
  let late: Promise<unknown> = Promise.resolve();
  const work = (tx: Transaction) => {
    late = write(tx, 'first').then(async () => {
      await over.promise;
      await write(tx, 'late');
    });
    return Promise.all([late, tx.query('select 1 / $1::integer', [0])]);
  };
  await assert.rejects(inTransaction(database, work), /division by zero/);
  over.resolve();
  await assert.rejects(late, /has ended/);
  assert.deepEqual(await written(), []);
});

test('a transaction: its first statement goes out with its beginning, and again where the work is repeated', async () => {
  const results: unknown[] = [];
  await inTransaction(
    database,
    async (tx, first) => {
      results.push(first?.rowCount);
      await write(tx, 'second');
      if (results.length < 3) throw Object.assign(new Error('could not serialize'), { code: '40001' });
    },
    { text: `insert into notes (text) select $1::text where ${HAS_BEGUN}`, values: ['first'] },
  );
  assert.deepEqual(results, [1, 1, 1]);
  assert.deepEqual(await written(), ['first', 'second']);
});

test('a transaction: where its first statement fails, the work does not begin and the connection is good for the next', async () => {
  const first = { text: 'select 1 / $1::integer', values: [0] };
  const begin = () => inTransaction(database, async () => assert.fail('it began'), first);
  for (let time = 0; time < 3; time += 1) await assert.rejects(begin(), /division by zero/);
  await inTransaction(database, (tx) => write(tx, 'after'));
  assert.deepEqual(await written(), ['after']);
});

test('a transaction: the failure that counts is the first one, whoever hears of its own first', async () => {
  const heardLate = async (statement: Promise<unknown>) => {
    const outcome = await statement.then(
      () => undefined,
      (error) => error,
    );
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    throw outcome;
  };
  const work = (tx: Transaction) => {
    const both = Promise.all([heardLate(tx.query('select 1 / $1::integer', [0])), write(tx, 'behind it')]);
    // Meanwhile both answers come, and so are read at once.
    const until = performance.now() + 100;
    while (performance.now() < until);
    return both;
  };
  await assert.rejects(inTransaction(database, work), /division by zero/);
});

test('a transaction: one of whose statements has failed is not taken for committed, even where the work went on', async () => {
  const work = async (tx: Transaction) => {
    await write(tx, 'lost');
    await tx.query('select 1 / $1::integer', [0]).catch(() => {});
  };
  await assert.rejects(inTransaction(database, work), /division by zero/);
  assert.deepEqual(await written(), []);
});

test('a connection: lost the moment that it is handed on, it fails the work of who gets it and does not end the process', async () => {
  const held = await Promise.all([database.pool.connect(), database.pool.connect()]);
  const waiting = inTransaction(database, () => assert.fail('it began'));
  const [lost, other] = held as unknown as (pg.PoolClient & { connection: EventEmitter })[];
  assert.ok(lost && other);
  // As when one packet brings the end of a statement and of the server.
  lost.release();
  try {
    lost.connection.emit('error', new Error('terminating connection due to administrator command'));
  } finally {
    other.release();
  }
  await assert.rejects(waiting, /not queryable/);
  assert.equal(database.pool.totalCount, 1, 'the lost one is gone');
  await inTransaction(database, (tx) => write(tx, 'on the other one'));
  assert.deepEqual(await written(), ['on the other one']);
});

test('the inbox: where the transaction does not begin, its row is not written, and the event is handled when it comes again', async () => {
  const eventId = randomUUIDv7();
  const connect = database.pool.connect.bind(database.pool);
  const withoutBeginning = async () => {
    const client = await connect();
    return new Proxy(client, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (name !== 'query') return typeof value === 'function' ? value.bind(target) : value;
        return (text: unknown, values: unknown) =>
          target.query(String(text).startsWith('begin') ? 'select 1 / 0' : (text as string), values as unknown[]);
      },
    });
  };
  const inbox = createConsumerDatabase(database);
  database.pool.connect = withoutBeginning as typeof database.pool.connect;
  try {
    await assert.rejects(
      inbox.handleOnce(eventId, async () => assert.fail('it was handled')),
      /division by zero/,
    );
  } finally {
    database.pool.connect = connect;
  }
  assert.equal(await inbox.handleOnce(eventId, async (tx) => void (await write(tx, 'handled'))), true);
  assert.equal(await inbox.handleOnce(eventId, async () => assert.fail('it was handled again')), false);
  assert.deepEqual(await written(), ['handled']);
});
