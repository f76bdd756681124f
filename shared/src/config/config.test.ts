// Settings: every problem at once, never a value, and no demo secret in production.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ConfigError, flag, nonNegativeInt, port, positiveInt, readSettings, secret, url, urlList } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'glasshouse-settings-'));
after(() => rmSync(folder, { recursive: true }));
/** A file as a secret is mounted. */
function mounted(name: string, content: string): string {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

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

test('readSettings: any setting may be in a file, without the newline at its end', () => {
  const env = { SECRET_URL_FILE: mounted('url', 'amqp://u:p@h\n'), SIZE_FILE: mounted('size', '7') };
  const settings = readSettings(shape, env);
  assert.equal(settings.SECRET_URL, 'amqp://u:p@h');
  assert.equal(settings.SIZE, 7);
});

test('readSettings: refuses demo values from files in production as well', () => {
  const env = { SECRET_URL_FILE: mounted('demo', 'amqp://u:demo-password@h\n') };
  assert.equal(readSettings(shape, env).SECRET_URL, 'amqp://u:demo-password@h');
  assert.throws(() => readSettings(shape, { ...env, NODE_ENV: 'production' }), /SECRET_URL: is a demo value/);
});

test('readSettings: one line where a file is missing or empty, or its setting is given twice', () => {
  const refusal = (env: NodeJS.ProcessEnv) => {
    try {
      readSettings(shape, env);
    } catch (error) {
      return (error as Error).message;
    }
    return 'taken';
  };
  assert.equal(
    refusal({ SECRET_URL_FILE: join(folder, 'hidden') }),
    "Wrong settings:\n  SECRET_URL_FILE: the file can't be read (ENOENT)",
  );
  assert.equal(
    refusal({ SECRET_URL_FILE: mounted('empty', '\n') }),
    'Wrong settings:\n  SECRET_URL_FILE: the file is empty',
  );
  assert.equal(
    refusal({ SECRET_URL: 'amqp://a', SECRET_URL_FILE: mounted('other', 'amqp://b') }),
    'Wrong settings:\n  SECRET_URL: is given twice, as SECRET_URL and as SECRET_URL_FILE',
  );
});
