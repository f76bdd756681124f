// Unit tests: settings are refused all at once, and never shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig, loadMigrationConfig } from './config.ts';

const key = Buffer.alloc(32, 7);
const good = {
  DATABASE_URL: 'postgres://users@localhost/users',
  RABBITMQ_URL: 'amqp://localhost',
  KEY_ENCRYPTION_KEY: key.toString('base64'),
};

test('loadConfig: when settings are wrong, names all of them and shows no value', () => {
  const wrong = { DATABASE_URL: 'mysql://s3cret', KEY_ENCRYPTION_KEY: 's3cret', PORT: '70000', ARGON2_MEMORY_KIB: '7' };
  assert.throws(
    () => loadConfig(wrong),
    ({ message }: Error) => {
      for (const name of [...Object.keys(wrong), 'RABBITMQ_URL: is missing']) assert.ok(message.includes(name), name);
      return !message.includes('s3cret');
    },
  );
});

test('loadConfig: when only what must be set is set, has the contract’s defaults', () => {
  const config = loadConfig(good);
  assert.deepEqual(
    [
      config.PORT,
      config.ACCESS_TOKEN_TTL_S,
      config.REFRESH_TOKEN_TTL_S,
      config.ARGON2_MEMORY_KIB,
      config.ARGON2_PASSES,
    ],
    [3001, 900, 30 * 24 * 3600, 19_456, 2],
  );
});

test('loadConfig: takes a KEY_ENCRYPTION_KEY of exactly 32 bytes, in base64 or base64url', () => {
  for (const value of [key.toString('base64'), key.toString('base64url')])
    assert.deepEqual(loadConfig({ ...good, KEY_ENCRYPTION_KEY: value }).KEY_ENCRYPTION_KEY, key);
  for (const bytes of [16, 31, 33, 64]) {
    const value = Buffer.alloc(bytes, 7).toString('base64');
    assert.throws(() => loadConfig({ ...good, KEY_ENCRYPTION_KEY: value }), /KEY_ENCRYPTION_KEY/);
  }
});

test('loadMigrationConfig: makes demo accounts only where they are wanted, and refuses in production', () => {
  const plain = { MIGRATION_DATABASE_URL: good.DATABASE_URL };
  assert.equal(loadMigrationConfig(plain).SEED_DEMO_DATA, false);
  const env = { ...plain, SEED_DEMO_DATA: 'true' };
  assert.equal(loadMigrationConfig(env).SEED_DEMO_DATA, true);
  assert.throws(() => loadMigrationConfig({ ...env, NODE_ENV: 'production' }), /SEED_DEMO_DATA/);
});
