// Unit tests: settings are refused all at once, and never shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig, loadMigrationConfig } from './config.ts';

const good = { MONGO_URL: 'mongodb://localhost/products', RABBITMQ_URL: 'amqp://localhost' };

test('loadConfig: when settings are wrong, names all of them and shows no value', () => {
  const wrong = { MONGO_URL: 'postgres://s3cret', PORT: '70000', CONSUMER_PREFETCH: '0', USER_SERVICE_URL: 's3cret' };
  assert.throws(
    () => loadConfig(wrong),
    ({ message }: Error) => {
      for (const name of [...Object.keys(wrong).slice(0, 3), 'RABBITMQ_URL: is missing'])
        assert.ok(message.includes(name), name);
      return !message.includes('postgres');
    },
  );
});

test('loadConfig: takes a replica set of several hosts, and no URL without a database', () => {
  const several = 'mongodb://a:27017,b:27017/products?replicaSet=rs0';
  assert.equal(loadConfig({ ...good, MONGO_URL: several }).MONGO_URL, several);
  for (const MONGO_URL of ['mongodb://localhost', 'mongodb://localhost/', 'mongodb://localhost/?replicaSet=rs0'])
    assert.throws(() => loadConfig({ ...good, MONGO_URL }), /MONGO_URL/);
});

test('loadConfig: when only what must be set is set, has the defaults', () => {
  const { PORT, CONSUMER_PREFETCH, OUTBOX_SWEEP_INTERVAL_MS } = loadConfig(good);
  assert.deepEqual([PORT, CONSUMER_PREFETCH, OUTBOX_SWEEP_INTERVAL_MS], [3002, 20, 2_000]);
});

test('loadMigrationConfig: adds demo products only where they are wanted, and refuses in production', () => {
  assert.equal(loadMigrationConfig(good).SEED_DEMO_DATA, false);
  const env = { ...good, SEED_DEMO_DATA: 'true' };
  assert.equal(loadMigrationConfig(env).SEED_DEMO_DATA, true);
  assert.throws(() => loadMigrationConfig({ ...env, NODE_ENV: 'production' }), /SEED_DEMO_DATA/);
});
