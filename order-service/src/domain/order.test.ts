// The rules of an order, without a server.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { cancelReasons } from '@glasshouse/shared/contracts';
import { AppError } from '@glasshouse/shared/errors';
import fc from 'fast-check';
import { cancel, confirm, deliver, type Order, type OrderItem, orderStatuses, place, ship, totalOf } from './order.ts';

const placedAt = new Date('2026-03-01T12:00:00.000Z');
const later = new Date('2026-03-01T12:00:07.000Z');
const shippingAddress = { name: 'Ada', line1: '1 Main St', city: 'Springfield', postalCode: '12345', country: 'US' };

const item = (amount: number, quantity: number, currency = 'USD'): OrderItem => ({
  productId: randomUUIDv7(),
  name: 'Kettle',
  quantity,
  unitPrice: { amount, currency },
});
const input = (items = [item(1999, 2), item(350, 3)]) => ({
  id: randomUUIDv7(),
  userId: randomUUIDv7(),
  items,
  shippingAddress,
  paymentMethod: 'pm_card_visa',
});
const anOrder = (status: Order['status'] = 'pending'): Order => ({
  ...place(input(), placedAt, 120).order,
  status,
  ...(status === 'cancelled' && { cancelReason: 'customer' }),
});

test('totalOf: the sum of price times quantity, exact at the largest order that is allowed', () => {
  assert.deepEqual(totalOf([item(1999, 2), item(350, 3)]), { amount: 5048, currency: 'USD' });
  const largest = Array.from({ length: 100 }, () => item(999_999_999, 10_000));
  assert.equal(totalOf(largest).amount, 999_999_999_000_000);
  const money = fc.integer({ min: 0, max: 999_999_999 });
  const quantity = fc.integer({ min: 1, max: 10_000 });
  fc.assert(
    fc.property(fc.array(fc.tuple(money, quantity), { minLength: 1, maxLength: 100 }), (pairs) => {
      const exact = pairs.reduce((sum, [amount, count]) => sum + BigInt(amount) * BigInt(count), 0n);
      assert.equal(BigInt(totalOf(pairs.map(([amount, count]) => item(amount, count))).amount), exact);
    }),
  );
});

test('totalOf: with two currencies, refuses', () => {
  assert.throws(
    () => totalOf([item(1, 1, 'USD'), item(1, 1, 'EUR')]),
    (error) => error instanceof AppError && error.kind === 'invalid' && error.code === 'order.mixed-currencies',
  );
});

test('place: a pending order with a deadline, and order.created with everything that the others need', () => {
  const given = input();
  const { order, events } = place(given, placedAt, 120);
  assert.equal(order.status, 'pending');
  assert.equal(order.payBy.toISOString(), '2026-03-01T12:02:00.000Z');
  assert.deepEqual([order.createdAt, order.updatedAt], [placedAt, placedAt]);
  assert.deepEqual(events, [
    {
      type: 'order.created',
      subject: given.id,
      data: {
        orderId: given.id,
        userId: given.userId,
        items: given.items,
        total: { amount: 5048, currency: 'USD' },
        paymentMethod: 'pm_card_visa',
        shippingAddress,
        payBy: '2026-03-01T12:02:00.000Z',
      },
    },
  ]);
});

test('confirm: when pending, confirms and tells what was sold', () => {
  const order = anOrder();
  const { order: confirmed, events } = confirm(order, later);
  assert.deepEqual(confirmed, { ...order, status: 'confirmed', updatedAt: later });
  assert.deepEqual(
    events.map(({ type, subject }) => ({ type, subject })),
    [{ type: 'order.confirmed', subject: order.id }],
  );
});

test('confirm: when decided, changes nothing and emits nothing', () => {
  for (const status of orderStatuses.filter((other) => other !== 'pending')) {
    const order = anOrder(status);
    assert.deepEqual(confirm(order, later), { order, events: [] }, status);
  }
});

test('cancel: stock, money and time cancel what is pending only; a customer also what is confirmed', () => {
  for (const status of orderStatuses)
    for (const reason of cancelReasons) {
      const order = anOrder(status);
      const { order: after, events } = cancel(order, reason, later);
      const isPossible = status === 'pending' || (status === 'confirmed' && reason === 'customer');
      if (!isPossible) {
        assert.deepEqual({ order: after, events }, { order, events: [] }, `${reason} on ${status}`);
        continue;
      }
      assert.deepEqual(after, { ...order, status: 'cancelled', cancelReason: reason, updatedAt: later });
      const data = { orderId: order.id, userId: order.userId, cancelReason: reason };
      assert.deepEqual(events, [{ type: 'order.cancelled', subject: order.id, data }]);
    }
});

test('ship, deliver: one step at a time, each told; from any other state refused', () => {
  const steps = [
    { step: ship, from: 'confirmed', to: 'shipped', code: 'order.not-shippable' },
    { step: deliver, from: 'shipped', to: 'delivered', code: 'order.not-deliverable' },
  ] as const;
  for (const { step, from, to, code } of steps)
    for (const status of orderStatuses) {
      const order = anOrder(status);
      if (status !== from) {
        assert.throws(
          () => step(order, later),
          (error) => error instanceof AppError && error.kind === 'conflict' && error.code === code,
          status,
        );
        continue;
      }
      const data = { orderId: order.id, userId: order.userId };
      assert.deepEqual(step(order, later), {
        order: { ...order, status: to, updatedAt: later },
        events: [{ type: `order.${to}`, subject: order.id, data }],
      });
    }
});

test('order: whatever comes in whatever order, the first decision stays and is told once', () => {
  const command = fc.constantFrom('confirm', ...cancelReasons.filter((reason) => reason !== 'customer'));
  fc.assert(
    fc.property(fc.array(command, { minLength: 1, maxLength: 12 }), (commands) => {
      let order = anOrder();
      const told: string[] = [];
      for (const next of commands) {
        const decision = next === 'confirm' ? confirm(order, later) : cancel(order, next, later);
        order = decision.order;
        told.push(...decision.events.map((event) => event.type));
      }
      const [first] = commands;
      assert.equal(order.status, first === 'confirm' ? 'confirmed' : 'cancelled');
      assert.equal(order.cancelReason, first === 'confirm' ? undefined : first);
      assert.equal(told.length, 1);
    }),
  );
});
