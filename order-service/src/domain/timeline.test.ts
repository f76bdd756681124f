// The order of a timeline, for any arrival and any tree of causes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventDefinitions } from '@glasshouse/shared/contracts';
import fc from 'fast-check';
import { inCausalOrder, summaryOf, type TimelineEntry } from './timeline.ts';

const entry = (id: string, causationId?: string): TimelineEntry => ({
  id,
  causationId,
  type: 'order.created',
  source: 'order-service',
  time: new Date(0),
  traceId: '',
  summary: '',
});

/** Entries in any order of arrival, each caused by none, by one of the others that happened before it, or by one that is not there. */
const arrivals = fc
  .array(fc.option(fc.nat({ max: 20 })), { maxLength: 15 })
  .map((causes) =>
    causes.map((cause, index) => {
      if (cause === null) return entry(`${index}`);
      return entry(`${index}`, index > 0 && cause < 15 ? `${cause % index}` : `not here ${cause}`);
    }),
  )
  .chain((entries) => fc.shuffledSubarray(entries, { minLength: entries.length, maxLength: entries.length }));

test('inCausalOrder: nothing is lost, nothing is twice', () => {
  fc.assert(
    fc.property(arrivals, (byArrival) => {
      const ordered = inCausalOrder(byArrival);
      assert.equal(ordered.length, byArrival.length);
      assert.deepEqual(new Set(ordered), new Set(byArrival));
    }),
  );
});

test('inCausalOrder: a cause comes before what it caused', () => {
  fc.assert(
    fc.property(arrivals, (byArrival) => {
      const place = new Map(inCausalOrder(byArrival).map(({ id }, index) => [id, index]));
      for (const { id, causationId } of byArrival) {
        const cause = place.get(causationId ?? '');
        assert.ok(cause === undefined || cause < (place.get(id) ?? -1), `${id} before its cause ${causationId}`);
      }
    }),
  );
});

test('inCausalOrder: otherwise by arrival: what comes earlier than it arrived was needed as a cause', () => {
  fc.assert(
    fc.property(arrivals, (byArrival) => {
      const arrival = new Map(byArrival.map(({ id }, index) => [id, index]));
      const byId = new Map(byArrival.map((one) => [one.id, one]));
      const causes = (one: TimelineEntry | undefined): string[] =>
        one?.causationId === undefined ? [] : [one.causationId, ...causes(byId.get(one.causationId))];
      const ordered = inCausalOrder(byArrival);
      for (const [index, one] of ordered.entries()) {
        const overtaken = ordered
          .slice(index + 1)
          .filter(({ id }) => Number(arrival.get(id)) < Number(arrival.get(one.id)));
        // Something that arrived before `one` stands behind it: then that, or what stands between, needed `one`.
        for (const late of overtaken)
          assert.ok(
            ordered
              .slice(index)
              .some(
                (other) =>
                  causes(other).includes(one.id) && Number(arrival.get(other.id)) <= Number(arrival.get(late.id)),
              ),
            `${one.id} overtook ${late.id} for nothing`,
          );
      }
    }),
  );
  const entries = ['c', 'a', 'b'].map((id) => entry(id));
  assert.deepEqual(inCausalOrder(entries), entries);
});

test('inCausalOrder: one that names itself as its cause, or two that name each other, still come once', () => {
  const entries = [entry('a', 'a'), entry('b', 'c'), entry('c', 'b')];
  assert.deepEqual(new Set(inCausalOrder(entries)), new Set(entries));
});

test('summaryOf: has a sentence for every event of an order', () => {
  const amount = { amount: 1999, currency: 'USD' };
  const data = { total: amount, amount, cancelReason: 'out_of_stock', code: 'declined' };
  const ofOrders = eventDefinitions.filter(({ type }) => /^(order|inventory|payment)\./.test(type));
  assert.equal(ofOrders.length, 12);
  for (const { type } of ofOrders) {
    const summary = summaryOf({ type, data });
    assert.notEqual(summary, type);
    assert.doesNotMatch(summary, /undefined|_/, type);
  }
  assert.equal(summaryOf({ type: 'order.cancelled', data }), 'Cancelled: out of stock');
  assert.equal(summaryOf({ type: 'a.type-to-come', data }), 'a.type-to-come');
});
