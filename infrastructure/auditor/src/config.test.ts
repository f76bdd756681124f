// Settings: from the environment, else from the local runner's file; every problem told at once.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { ConfigError } from '@glasshouse/shared/config';
import { loadConfig, readEnvironment } from './config.ts';

const sound = {
  AUDIT_USER_SERVICE_DATABASE_URL: 'postgres://auditor:secret@127.0.0.1:5432/users',
  AUDIT_ORDER_SERVICE_DATABASE_URL: 'postgres://auditor:secret@127.0.0.1:5432/orders',
  AUDIT_PAYMENT_SERVICE_DATABASE_URL: 'postgres://auditor:secret@127.0.0.1:5432/payments',
  AUDIT_PRODUCT_SERVICE_DATABASE_URL: 'mongodb://127.0.0.1:27017/products?replicaSet=rs0',
  AUDIT_NOTIFICATION_SERVICE_DATABASE_URL: 'mongodb://127.0.0.1:27017/notifications?replicaSet=rs0',
  AUDIT_RABBITMQ_MANAGEMENT_URL: 'http://monitoring:secret@127.0.0.1:15672',
  AUDIT_LEDGER_URL: 'http://:sk_test_key@127.0.0.1:8090',
};

it('loadConfig: takes sound settings, with defaults for the rest', () => {
  const config = loadConfig(sound);
  assert.equal(config.AUDIT_VHOST, '/');
  assert.equal(config.SAGA_TIMEOUT_S, 120);
  assert.equal(config.AUDIT_QUEUE_COUNTS_AGE_S, 5);
});

it('loadConfig: names every missing or wrong setting at once, and no value', () => {
  const { AUDIT_LEDGER_URL: _, ...rest } = sound;
  const wrong = { ...rest, AUDIT_PRODUCT_SERVICE_DATABASE_URL: 'mongodb://127.0.0.1:27017', SAGA_TIMEOUT_S: '-1' };
  assert.throws(
    () => loadConfig(wrong),
    (error) => {
      assert.ok(error instanceof ConfigError);
      const lines = error.message.split('\n').slice(1);
      assert.equal(lines.length, 3);
      assert.match(error.message, /AUDIT_LEDGER_URL: is missing/);
      assert.match(error.message, /AUDIT_PRODUCT_SERVICE_DATABASE_URL: is not a MongoDB connection string/);
      assert.match(error.message, /SAGA_TIMEOUT_S: /);
      assert.doesNotMatch(error.message, /127\.0\.0\.1/);
      return true;
    },
  );
});

it('readEnvironment: reads the file, the environment first; no file is no problem', () => {
  const dir = mkdtempSync(join(tmpdir(), 'auditor-'));
  try {
    const file = join(dir, 'audit.env');
    writeFileSync(file, 'AUDIT_VHOST=from-file\nPATH=from-file\n');
    const env = readEnvironment(file);
    assert.equal(env.AUDIT_VHOST, 'from-file');
    assert.equal(env.PATH, process.env.PATH);
    assert.equal(readEnvironment(join(dir, 'none')).AUDIT_VHOST, process.env.AUDIT_VHOST);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
