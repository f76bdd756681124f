// The floor does what an order does: where the saga changes, its steps have to follow.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { definitionsByType } from '@glasshouse/shared/contracts';
import { orderSaga } from '../../../shared/src/contracts/order-saga.ts';
import { countsOf, criticalPath, type Step, wholeOrder } from './order-path.ts';

const publications = wholeOrder.filter((step) => step.does === 'publish');
const names = (steps: readonly Step[], does: Step['does']) =>
  steps.filter((step) => step.does === does).map(({ what }) => what);

test('an event of the whole order goes to everybody who acts on it', () => {
  for (const { what, to } of publications)
    assert.deepEqual([...to].sort(), [...(definitionsByType.get(what)?.to ?? [])].sort(), what);
});

test('every handler of the saga has its transaction, and every event leaves the outbox', () => {
  const told = publications.map(({ what }) => what);
  const handlers = orderSaga.filter(({ on }) => told.includes(on)).map(({ handler }) => handler);
  assert.deepEqual(
    names(wholeOrder, 'transaction').sort(),
    ['placeOrder', 'the outcome of the charge', ...handlers].sort(),
  );
  assert.equal(countsOf(wholeOrder).deliveries, handlers.length);
  for (const event of told) assert.ok(names(wholeOrder, 'statement').includes(`${event} leaves the outbox`), event);
});

test('the critical path has no step that the whole order has not', () => {
  const all = wholeOrder.map(({ what }) => what);
  for (const { what } of criticalPath) assert.ok(all.includes(what), what);
  assert.deepEqual(countsOf(criticalPath), { postgresCommits: 5, mongoCommits: 1, publications: 3, deliveries: 3 });
});
