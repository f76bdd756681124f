import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from './config.ts';

const needed = {
  MONGO_URL: 'mongodb://a:27017,b:27017/notifications?replicaSet=rs0',
  RABBITMQ_URL: 'amqp://localhost',
  SMTP_URL: 'smtp://localhost:1025',
};

test('loadConfig: with what is needed, has a default for the rest', () => {
  const config = loadConfig(needed);
  assert.equal(config.PORT, 3005);
  assert.equal(config.MAIL_FROM, 'Glasshouse <orders@glasshouse.example>');
  assert.equal(config.MAIL_SWEEP_INTERVAL_MS, 1_000);
});

test('loadConfig: names every missing and wrong setting at once, without its value', () => {
  const wrong = {
    MONGO_URL: 'mongodb://user:hidden@a',
    SMTP_URL: 'https://user:hidden@b',
    MAIL_FROM: 'Eve <eve@example.com>\r\nBcc: victim@example.com',
    SMTP_TIMEOUT_MS: '20000',
    USER_SERVICE_URL: 'c',
  };
  assert.throws(
    () => loadConfig(wrong),
    (error: Error) => {
      for (const name of [...Object.keys(wrong), 'RABBITMQ_URL'])
        assert.match(error.message, new RegExp(`  ${name}: `));
      assert.doesNotMatch(error.message, /hidden/);
      return error.name === 'ConfigError';
    },
  );
});

test('loadConfig: a sender is an address, or a name and an address', () => {
  for (const MAIL_FROM of ['shop@example.com', 'Shop <shop@example.com>', '<shop@example.com>'])
    assert.equal(loadConfig({ ...needed, MAIL_FROM }).MAIL_FROM, MAIL_FROM);
  for (const MAIL_FROM of ['Shop', 'shop@', 'Shop <shop@example.com', 'a@b <shop@example.com> c'])
    assert.throws(() => loadConfig({ ...needed, MAIL_FROM }), /MAIL_FROM/, MAIL_FROM);
});
