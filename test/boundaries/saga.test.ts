// The saga table, the contracts and the services' subscriptions say the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDefinitions, type ServiceName } from '@glasshouse/shared/contracts';
import { EVENT_EXCHANGE, fullTopology, queueOf } from '@glasshouse/shared/event-bus';
import { subscriptions as notificationSubscriptions } from '../../notification-service/src/messaging/subscriptions.ts';
import { subscriptions as orderSubscriptions } from '../../order-service/src/messaging/subscriptions.ts';
import { subscriptions as paymentSubscriptions } from '../../payment-service/src/messaging/subscriptions.ts';
import { subscriptions as productSubscriptions } from '../../product-service/src/messaging/subscriptions.ts';
import { orderSaga } from '../../shared/src/contracts/order-saga.ts';

interface Row {
  type: string;
  handler: string;
}
const rowsOf = (subscriptions: readonly { definition: { type: string }; handler: string }[]): Row[] =>
  subscriptions.map(({ definition, handler }) => ({ type: definition.type, handler }));

const subscriptionsOf: Partial<Record<ServiceName, Row[]>> = {
  'product-service': rowsOf(productSubscriptions),
  'order-service': rowsOf(orderSubscriptions),
  'payment-service': rowsOf(paymentSubscriptions),
  'notification-service': rowsOf(notificationSubscriptions),
};
const isOfTheSaga = (type: string) => /^(order|inventory|payment)\./.test(type);
const eventTypes = new Set(eventDefinitions.map((definition) => definition.type));

for (const [service, rows = []] of Object.entries(subscriptionsOf)) {
  test(`${service}: its subscriptions are what the contracts say that it acts on`, () => {
    const declared = eventDefinitions.filter((definition) => definition.to.includes(service as ServiceName));
    assert.deepEqual(rows.map((row) => row.type).sort(), declared.map((definition) => definition.type).sort());
  });

  test(`${service}: its subscriptions are its rows of the saga table, handlers and all`, () => {
    const steps = orderSaga.filter((step) => step.service === service && eventTypes.has(step.on));
    const expected = steps.map((step) => `${step.on} → ${step.handler}`).sort();
    const actual = rows.filter((row) => isOfTheSaga(row.type)).map((row) => `${row.type} → ${row.handler}`);
    assert.deepEqual(actual.sort(), expected);
  });
}

test('every event has a publisher that the saga knows, and a consumer', () => {
  for (const { type, from, to } of eventDefinitions) {
    assert.ok(to.length > 0, `${type} has no consumer`);
    for (const service of to)
      assert.ok(subscriptionsOf[service], `${type} goes to ${service}, which has no subscriptions`);
    for (const step of orderSaga.filter((row) => row.emits.includes(type)))
      assert.equal(step.service, from, `${type} is told by ${step.service}`);
  }
});

test('every event that a step tells is one that some service acts on', () => {
  for (const step of orderSaga)
    for (const type of step.emits) {
      const heard = Object.values(subscriptionsOf).some((rows) => rows?.some((row) => row.type === type));
      assert.ok(heard, `${type}, told by ${step.handler}, is heard by nobody`);
    }
});

test('every step that changes something until the money has moved has its undoing, on order.cancelled', () => {
  const theCharge = orderSaga.findIndex((step) => step.movesMoney);
  assert.ok(theCharge > 0, 'the saga has no step in which the money moves');
  for (const step of orderSaga.slice(0, theCharge + 1)) {
    if (step.changes === undefined) {
      assert.ok(
        step.handler === 'noteFact' || step.emits.includes('order.cancelled'),
        `${step.handler} says nothing of what it changes`,
      );
      continue;
    }
    const undoing = orderSaga.find((row) => row.service === step.service && row.handler === step.changes?.undoneBy);
    assert.ok(undoing, `${step.handler} has no undoing`);
    assert.ok(
      undoing.on === 'order.cancelled' || undoing.emits.includes('order.cancelled'),
      `${undoing.handler} does not run when an order is cancelled`,
    );
  }
});

test('each queue is bound to exactly what its service acts on', () => {
  const { bindings } = fullTopology();
  for (const [service, rows = []] of Object.entries(subscriptionsOf)) {
    const keys = bindings.filter(
      (binding) => binding.source === EVENT_EXCHANGE && binding.destination === queueOf(service as ServiceName),
    );
    assert.deepEqual(keys.map((binding) => binding.key).sort(), rows.map((row) => row.type).sort());
  }
});
