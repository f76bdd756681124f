// A user of the broker has its rights by its name: an address with another name is refused, before it is given rights that nobody meant.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadBrokerConfig } from './config.ts';

const addresses = {
  BROKER_DEFINITIONS_FILE: '/tmp/definitions.json',
  USER_SERVICE_RABBITMQ_URL: 'amqp://user-service:a@rabbitmq:5672',
  PRODUCT_SERVICE_RABBITMQ_URL: 'amqp://product-service:b@rabbitmq:5672',
  ORDER_SERVICE_RABBITMQ_URL: 'amqp://order-service:c@rabbitmq:5672',
  PAYMENT_SERVICE_RABBITMQ_URL: 'amqp://payment-service:d@rabbitmq:5672',
  NOTIFICATION_SERVICE_RABBITMQ_URL: 'amqp://notification-service:e@rabbitmq:5672',
  AUDIT_RABBITMQ_MANAGEMENT_URL: 'http://monitoring:f@rabbitmq:15672',
  DEAD_LETTERS_RABBITMQ_URL: 'amqp://operator:g@rabbitmq:5672',
};

test('broker: takes an address for each user', () => {
  assert.equal(loadBrokerConfig(addresses).DEAD_LETTERS_RABBITMQ_URL, addresses.DEAD_LETTERS_RABBITMQ_URL);
});

test('broker: refuses an address with the name of another user', () => {
  assert.throws(
    () => loadBrokerConfig({ ...addresses, PRODUCT_SERVICE_RABBITMQ_URL: 'amqp://operator:g@rabbitmq:5672' }),
    /PRODUCT_SERVICE_RABBITMQ_URL: is not the address of the user product-service/,
  );
});
