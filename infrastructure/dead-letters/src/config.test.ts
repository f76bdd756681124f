// The setting: from the environment, else from the local runner's file; told by its name and never by its value.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError } from '@glasshouse/shared/config';
import { loadConfig, readEnvironment } from './config.ts';

test('loadConfig: wants the URL of a broker, and shows no value', () => {
  const sound = { DEAD_LETTERS_RABBITMQ_URL: 'amqp://operator:secret@127.0.0.1:5672/' };
  assert.deepEqual(loadConfig(sound), sound);
  assert.throws(() => loadConfig({}), /DEAD_LETTERS_RABBITMQ_URL: is missing/);
  assert.throws(
    () => loadConfig({ DEAD_LETTERS_RABBITMQ_URL: 'http://operator:secret@127.0.0.1' }),
    (error) => error instanceof ConfigError && !error.message.includes('secret'),
  );
});

test('readEnvironment: reads the file, the environment first; no file is no problem', () => {
  const dir = mkdtempSync(join(tmpdir(), 'dead-letters-'));
  try {
    const file = join(dir, 'operator.env');
    writeFileSync(file, 'DEAD_LETTERS_RABBITMQ_URL=amqp://from-file\nPATH=from-file\n');
    const env = readEnvironment(file);
    assert.equal(env.DEAD_LETTERS_RABBITMQ_URL, process.env.DEAD_LETTERS_RABBITMQ_URL ?? 'amqp://from-file');
    assert.equal(env.PATH, process.env.PATH);
    assert.equal(readEnvironment(join(dir, 'none')).PATH, process.env.PATH);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
