// The one table that tells a message's own fault from somebody being faster and from a database being away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BulkWriteResult, MongoBulkWriteError, MongoNetworkError, MongoServerError } from 'mongodb';
import { AppError, classifyFailure, type FailureClass } from './index.ts';

const withCode = (code: string | number, name = 'Error') => Object.assign(new Error('x'), { code, name });

const table: [string, unknown, FailureClass][] = [
  ['serialization failure', withCode('40001'), 'contention'],
  ['deadlock', withCode('40P01'), 'contention'],
  ['unique violation', withCode('23505'), 'contention'],
  ['lock time-out', withCode('55P03'), 'contention'],
  ['WriteConflict', withCode(112, 'MongoServerError'), 'contention'],
  ['NoSuchTransaction', withCode(251, 'MongoServerError'), 'contention'],
  ['duplicate key', withCode(11000, 'MongoServerError'), 'contention'],
  ['connection refused', withCode('ECONNREFUSED'), 'dependency-down'],
  ['PostgreSQL shuts down', withCode('57P01'), 'dependency-down'],
  ['PostgreSQL connection exception', withCode('08006'), 'dependency-down'],
  ['PostgreSQL has no disk left', withCode('53100'), 'dependency-down'],
  ['read-only PostgreSQL', withCode('25006'), 'dependency-down'],
  ['a password that PostgreSQL does not take', withCode('28P01'), 'dependency-down'],
  ['a database that is not there', withCode('3D000'), 'dependency-down'],
  ['a certificate that has expired', withCode('CERT_HAS_EXPIRED'), 'dependency-down'],
  ['a password that MongoDB does not take', withCode(18, 'MongoServerError'), 'dependency-down'],
  ['pg lost its connection', new Error('Connection terminated unexpectedly'), 'dependency-down'],
  ['MongoDB network', withCode(0, 'MongoNetworkError'), 'dependency-down'],
  ['MongoDB server selection', withCode(0, 'MongoServerSelectionError'), 'dependency-down'],
  ['MongoDB not primary', withCode(10107, 'MongoServerError'), 'dependency-down'],
  ['MongoDB just started, without a majority yet', withCode(134, 'MongoServerError'), 'dependency-down'],
  ['MongoDB server that has left the replica set', withCode(0, 'MongoServerClosedError'), 'dependency-down'],
  ['wrapped', new Error('outer', { cause: withCode('ECONNRESET') }), 'dependency-down'],
  ['a violated check', withCode('23514'), 'fault'],
  ['a statement that is too slow', withCode('57014'), 'fault'],
  ['a bug', new TypeError('x is undefined'), 'fault'],
  ['an outcome of the business', new AppError('conflict', 'a.b', 'no'), 'fault'],
  ['no error at all', 'text', 'fault'],
];

for (const [name, error, expected] of table)
  test(`classifyFailure: ${name} is ${expected}`, () => assert.equal(classifyFailure(error), expected));

test('classifyFailure: the failure of a MongoDB bulk write is what made it fail', () => {
  const failed = (error: Error) => new MongoBulkWriteError(error as never, {} as BulkWriteResult);
  const conflict = new MongoServerError({ code: 112, errmsg: 'WriteConflict' });
  assert.equal(classifyFailure(failed(new MongoNetworkError('read ECONNRESET'))), 'dependency-down');
  assert.equal(classifyFailure(failed(conflict)), 'contention');
  assert.equal(classifyFailure(failed(new MongoServerError({ code: 121, errmsg: 'not valid' }))), 'fault');
});

test('classifyFailure: a network error within a MongoDB transaction is down, although it is labelled transient', () => {
  const error = Object.assign(new Error('x'), { name: 'MongoNetworkError', hasErrorLabel: () => true });
  assert.equal(classifyFailure(error), 'dependency-down');
  assert.equal(classifyFailure(Object.assign(new Error('x'), { hasErrorLabel: () => true })), 'contention');
});
