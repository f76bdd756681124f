// Each process is told what it needs, and no secret that is another's.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { platformPorts, services } from './services.ts';
import {
  auditSettings,
  type Endpoints,
  keysSettings,
  migrationSettings,
  operatorSettings,
  type Surroundings,
  serviceSettings,
} from './settings.ts';

const secrets = (name: string) => Buffer.from(name.padEnd(32, '.')).toString('base64url');
const database = (name: string) => ({
  service: `postgres://${name}`,
  migration: `postgres://${name}_owner`,
  audit: `postgres://${name}_auditor`,
});
const surroundings: Surroundings = {
  env: { LOG_LEVEL: 'warn' },
  secrets,
  replicas: 1,
  portOffset: 0,
  databases: new Map(['user-service', 'order-service', 'payment-service'].map((name) => [name, database(name)])),
  mongoUrl: 'mongodb://127.0.0.1:27017/?replicaSet=rs0',
};
const endpoints: Endpoints = {
  rabbitmq: { url: 'amqp://admin:secret@127.0.0.1:5672/', managementUrl: 'http://admin:secret@127.0.0.1:15672' },
  smtpUrl: 'smtp://127.0.0.1:2525',
  paymentProviderUrl: 'http://127.0.0.1:4242',
};

function settingsOf(name: string, changes: Partial<Surroundings> = {}): NodeJS.ProcessEnv {
  const service = services.find((one) => one.name === name);
  assert.ok(service);
  return serviceSettings(service, { ...surroundings, ...changes }, endpoints);
}

function migrationOf(name: string): NodeJS.ProcessEnv {
  const service = services.find((one) => one.name === name);
  assert.ok(service);
  return migrationSettings(service, surroundings);
}

describe('settings', () => {
  it('a service has its own database and broker user; the owner of its tables is known to its migration alone', () => {
    const order = settingsOf('order-service');
    assert.equal(order.DATABASE_URL, 'postgres://order-service');
    assert.match(order.RABBITMQ_URL ?? '', /^amqp:\/\/order-service:[^@]+@127\.0\.0\.1:5672\/$/);
    assert.equal(order.MIGRATION_DATABASE_URL, undefined);
    assert.equal(migrationOf('order-service').MIGRATION_DATABASE_URL, 'postgres://order-service_owner');
    assert.equal(order.MONGO_URL, undefined);
    assert.equal(settingsOf('product-service').MONGO_URL, 'mongodb://127.0.0.1:27017/products?replicaSet=rs0');
    assert.equal(
      settingsOf('notification-service').MONGO_URL,
      'mongodb://127.0.0.1:27017/notifications?replicaSet=rs0',
    );
    assert.equal(settingsOf('api-gateway').RABBITMQ_URL, undefined);
  });

  it('the administrator of the broker, and keys of others, are told to nobody', () => {
    const key = Buffer.from(secrets('key encryption'), 'base64url').toString('base64');
    for (const { name } of services) {
      const values = Object.values(settingsOf(name)).join(' ');
      assert.doesNotMatch(values, /admin|_owner|_auditor|monitoring|operator/);
      assert.equal(values.includes(key), name === 'user-service', name);
      assert.equal(values.includes('sk_test_'), name === 'payment-service', name);
    }
  });

  it('the caller is inherited from, and servers of its own are used', () => {
    const env = {
      LOG_LEVEL: 'warn',
      PRODUCTS_MONGO_URL: 'mongodb://one.example/shop',
      MONGO_URL: 'mongodb://two.example',
      RABBITMQ_URL: 'amqp://mine.example',
      SMTP_URL: 'smtp://mine.example',
      STRIPE_API_URL: 'https://provider.example',
      STRIPE_API_KEY: 'mine',
    };
    assert.equal(settingsOf('api-gateway', { env }).LOG_LEVEL, 'warn');
    assert.equal(settingsOf('product-service', { env }).MONGO_URL, 'mongodb://one.example/shop');
    assert.equal(settingsOf('notification-service', { env }).MONGO_URL, 'mongodb://two.example/notifications');
    assert.equal(settingsOf('notification-service', { env }).SMTP_URL, 'smtp://mine.example');
    assert.equal(settingsOf('order-service', { env }).RABBITMQ_URL, 'amqp://mine.example');
    assert.equal(settingsOf('order-service', { env }).MONGO_URL, undefined);
    assert.equal(settingsOf('api-gateway', { env }).RABBITMQ_URL, undefined);
    const payment = settingsOf('payment-service', { env });
    assert.deepEqual([payment.STRIPE_API_URL, payment.STRIPE_API_KEY], ['https://provider.example', 'mine']);
  });

  it('with two copies, callers are told of both', () => {
    const gateway = settingsOf('api-gateway', { replicas: 2, portOffset: 20_000 });
    assert.equal(gateway.ORDER_SERVICE_URL, 'http://127.0.0.1:23003,http://127.0.0.1:23103');
    assert.deepEqual([...platformPorts(2).keys()].sort(), [
      ...[3001, 3002, 3003, 3004, 3005, 3101, 3102, 3103, 3104, 3105],
      ...[8080, 8180],
    ]);
  });

  it('the key command has what the copies of user-service have, and no more', () => {
    const env = { LOG_LEVEL: 'warn', ACCESS_TOKEN_TTL_S: '60' };
    const { DATABASE_URL, KEY_ENCRYPTION_KEY, ACCESS_TOKEN_TTL_S } = settingsOf('user-service', { env });
    const theirs = { DATABASE_URL, KEY_ENCRYPTION_KEY, ACCESS_TOKEN_TTL_S };
    assert.deepEqual(keysSettings({ ...surroundings, env }), theirs);
    assert.deepEqual(Object.keys(keysSettings(surroundings)), ['DATABASE_URL', 'KEY_ENCRYPTION_KEY']);
  });

  it('the auditor reads every database, the broker and the ledger', () => {
    const settings = auditSettings(surroundings, endpoints);
    assert.equal(settings.AUDIT_ORDER_SERVICE_DATABASE_URL, 'postgres://order-service_auditor');
    assert.equal(settings.AUDIT_PRODUCT_SERVICE_DATABASE_URL, 'mongodb://127.0.0.1:27017/products?replicaSet=rs0');
    assert.match(settings.AUDIT_RABBITMQ_MANAGEMENT_URL ?? '', /^http:\/\/monitoring:[^@]+@127\.0\.0\.1:15672\/$/);
    assert.match(settings.AUDIT_LEDGER_URL ?? '', /^http:\/\/:sk_test_[^@]+@127\.0\.0\.1:4242$/);
    assert.equal(Object.keys(settings).filter((name) => name.endsWith('_DATABASE_URL')).length, 5);
  });

  it('the auditor looks into the virtual host that the services use', () => {
    const vhostOf = (url: string) =>
      auditSettings({ ...surroundings, env: { RABBITMQ_URL: url } }, { ...endpoints, rabbitmq: undefined }).AUDIT_VHOST;
    assert.equal(auditSettings(surroundings, endpoints).AUDIT_VHOST, '/');
    assert.equal(vhostOf('amqp://mine.example'), '/');
    assert.equal(vhostOf('amqp://mine.example/'), '/');
    assert.equal(vhostOf('amqps://mine.example/my%2Fshop'), 'my/shop');
  });

  it('the dead-letters tool reaches the broker as a user of its own, or as the caller does', () => {
    assert.match(
      operatorSettings(surroundings, endpoints).DEAD_LETTERS_RABBITMQ_URL ?? '',
      /^amqp:\/\/operator:[^@]+@127\.0\.0\.1:5672\/$/,
    );
    const env = { RABBITMQ_URL: 'amqp://mine.example' };
    assert.deepEqual(operatorSettings({ ...surroundings, env }, endpoints), {
      DEAD_LETTERS_RABBITMQ_URL: 'amqp://mine.example',
    });
  });
});
