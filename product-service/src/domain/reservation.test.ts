// The rules of a reservation, without a server: whatever happens in whatever order, no unit is lost, made or held twice.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Decision, hold, type Reservation, type ReservationState, release, sell } from './reservation.ts';

const now = new Date('2026-03-01T12:00:00.000Z');
const [orderId, userId, kettle, mug] = [randomUUIDv7(), randomUUIDv7(), randomUUIDv7(), randomUUIDv7()];
const items = [
  { productId: kettle, quantity: 2 },
  { productId: mug, quantity: 3 },
];
const order = { userId, items, payBy: now };
const plenty = new Map([
  [kettle, 2],
  [mug, 3],
]);
const states: ReservationState[] = ['noted', 'held', 'sold', 'rejected', 'expired', 'released', 'cancelled'];
const reservation = (state: ReservationState): Reservation => ({
  orderId,
  state,
  ...(state === 'noted' ? { items: [] } : { userId, items }),
});
const typesOf = ({ events }: Decision) => events.map((event) => event.type);

test('hold: up to payBy, the last units are held and told', () => {
  const decision = hold(reservation('noted'), order, plenty, now);
  assert.deepEqual(decision, {
    reservation: { orderId, state: 'held', userId, items },
    move: { from: 'available', to: 'held' },
    events: [{ type: 'inventory.reserved', subject: orderId, data: { orderId, items } }],
  });
});

test('hold: a millisecond after payBy, nothing is held or told, whatever there is', () => {
  const late = new Date(now.getTime() + 1);
  for (const available of [plenty, new Map()])
    assert.deepEqual(hold(reservation('noted'), order, available, late), {
      reservation: { orderId, state: 'expired', userId, items },
      events: [],
    });
});

test('hold: one unit short of one item, nothing is moved and the shortage is told', () => {
  const decision = hold(reservation('noted'), order, new Map([...plenty, [mug, 2]]), now);
  assert.equal(decision.reservation.state, 'rejected');
  assert.equal(decision.move, undefined);
  assert.deepEqual(decision.events[0]?.data, {
    orderId,
    shortages: [{ productId: mug, requested: 3, available: 2 }],
  });
});

test('hold: what is decided stays so', () => {
  for (const state of states.filter((other) => other !== 'noted'))
    assert.deepEqual(hold(reservation(state), order, plenty, now), { reservation: reservation(state), events: [] });
});

test('sell: only what is held moves; what was never held can’t be sold', () => {
  assert.deepEqual(sell(reservation('held')).move, { from: 'held', to: 'sold' });
  for (const state of ['sold', 'released', 'cancelled'] as const)
    assert.deepEqual(sell(reservation(state)), { reservation: reservation(state), events: [] });
  for (const state of ['noted', 'rejected', 'expired'] as const)
    assert.throws(() => sell(reservation(state)), /confirmed/);
});

test('release: gives back what is held or sold and tells it; closes what holds nothing', () => {
  for (const from of ['held', 'sold'] as const) {
    const decision = release(reservation(from), userId);
    assert.deepEqual(decision.move, { from, to: 'available' });
    assert.deepEqual([decision.reservation.state, typesOf(decision)], ['released', ['inventory.released']]);
  }
  for (const state of ['noted', 'rejected', 'expired'] as const)
    assert.deepEqual(release(reservation(state), userId), {
      reservation: { ...reservation(state), userId, state: 'cancelled' },
      events: [],
    });
  for (const state of ['released', 'cancelled'] as const)
    assert.deepEqual(release(reservation(state), userId), { reservation: reservation(state), events: [] });
});

test('any sequence of commands: each unit is in one place, held once and given back once, and a cancel is final', () => {
  const commands = fc.array(fc.constantFrom('hold', 'hold late', 'sell', 'release'), { maxLength: 12 });
  fc.assert(
    fc.property(commands, fc.integer({ min: 0, max: 4 }), (names, stock) => {
      const units = { available: stock, held: 0, sold: 0 };
      const told: string[] = [];
      let current: Reservation = { orderId, state: 'noted', items: [] };
      let isCancelled = false;
      for (const name of names) {
        const wanted = { userId, items: [{ productId: kettle, quantity: 2 }], payBy: now };
        const at = new Date(now.getTime() + (name === 'hold late' ? 1 : 0));
        let decision: Decision;
        try {
          if (name === 'sell') decision = sell(current);
          else if (name === 'release') decision = release(current, userId);
          else decision = hold(current, wanted, new Map([[kettle, units.available]]), at);
        } catch {
          continue;
        }
        if (decision.move !== undefined) {
          units[decision.move.from] -= 2;
          units[decision.move.to] += 2;
        }
        told.push(...typesOf(decision));
        current = decision.reservation;
        isCancelled ||= name === 'release';
        assert.equal(['released', 'cancelled'].includes(current.state), isCancelled);
        assert.equal(units.available + units.held + units.sold, stock);
        assert.deepEqual(
          [units.held, units.sold],
          [current.state === 'held' ? 2 : 0, current.state === 'sold' ? 2 : 0],
        );
        assert.ok(units.available >= 0);
      }
      assert.equal(new Set(told).size, told.length);
    }),
  );
});
