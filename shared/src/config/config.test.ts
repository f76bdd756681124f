// Settings: every problem at once, never a value, and no demo secret in production.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, flag, nonNegativeInt, port, positiveInt, readSettings, secret, url, urlList } from './index.ts';

const shape = {
  PORT: port(3000),
  SECRET_URL: secret().pipe(url(/^amqps?$/)),
  LIMIT: nonNegativeInt(5),
  SIZE: positiveInt(2),
  SEED: flag(false),
  PEERS: urlList('http://localhost:1'),
};

test('readSettings: defaults, numbers, flags and lists', () => {
  const settings = readSettings(shape, {
    SECRET_URL: 'amqp://h',
    LIMIT: '0',
    SEED: 'true',
    PEERS: 'http://a:1/, http://b:2',
    SIZE: '',
  });
  assert.deepEqual(settings, {
    PORT: 3000,
    SECRET_URL: 'amqp://h',
    LIMIT: 0,
    SIZE: 2,
    SEED: true,
    PEERS: ['http://a:1', 'http://b:2'],
  });
});

test('readSettings: names every problem, and shows no value', () => {
  assert.throws(
    () =>
      readSettings(shape, {
        PORT: '70000',
        SECRET_URL: 'http://user:hidden@h',
        SIZE: '0',
        SEED: 'yes',
        PEERS: 'ftp://x',
      }),
    (error: Error) => {
      assert.ok(error instanceof ConfigError);
      for (const name of ['PORT', 'SECRET_URL', 'SIZE', 'SEED', 'PEERS'])
        assert.match(error.message, new RegExp(`^ {2}${name}: `, 'm'));
      assert.doesNotMatch(error.message, /hidden/);
      return true;
    },
  );
  assert.throws(() => readSettings(shape, {}), /SECRET_URL: is missing/);
});

test('readSettings: refuses demo values in production, and only there', () => {
  const env = { SECRET_URL: 'amqp://u:demo-password@h' };
  assert.equal(readSettings(shape, env).SECRET_URL, env.SECRET_URL);
  assert.throws(() => readSettings(shape, { ...env, NODE_ENV: 'production' }), /SECRET_URL: is a demo value/);
});
