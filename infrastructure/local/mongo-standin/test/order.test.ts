// The encoding that indexes and sorts rest on: its order is the order of the values, and no value's encoding begins another's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareValues, encodeValue } from '../order.ts';

test('encodeValue: numbers are in numeric order, NaN before all', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
      assert.equal(compareValues(a, b), a < b ? -1 : a > b ? 1 : 0);
      assert.equal(compareValues(Number.NaN, a), -1);
    }),
    {
      numRuns: 1000,
      examples: [
        [0, -0],
        [-1, -2],
        [-0.5, 0.5],
        [2 ** 53, 2 ** 53 - 1],
        [Number.NEGATIVE_INFINITY, -1],
      ],
    },
  );
});

test('encodeValue: dates and texts are in their order, also where a text holds the character 0', () => {
  const text = fc.string({ unit: fc.constantFrom('\0', '\x01', 'a', 'b', 'é', '🛒'), maxLength: 5 });
  fc.assert(fc.property(text, text, (a, b) => assert.equal(compareValues(a, b), a < b ? -1 : a > b ? 1 : 0)));
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true }), fc.date({ noInvalidDate: true }), (a, b) =>
      assert.equal(compareValues(a, b), Math.sign(a.getTime() - b.getTime())),
    ),
  );
});

test('encodeValue: an encoding never begins another', () => {
  const value = fc.oneof(
    fc.string({ unit: fc.constantFrom('\0', '\x01', 'a'), maxLength: 3 }),
    fc.double(),
    fc.constantFrom(null, true, false),
    fc.array(fc.constantFrom<unknown>(1, 'a', null), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'a\x01'), fc.constantFrom<unknown>(1, 'a', null), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  );
  fc.assert(
    fc.property(value, value, (a, b) => {
      const [left, right] = [encodeValue(a), encodeValue(b)];
      assert.equal(left !== right && left.startsWith(right), false);
    }),
    { numRuns: 2000 },
  );
});
