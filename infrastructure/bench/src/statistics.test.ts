// The arithmetic that the figures rest on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { figureOf, median, quantile, ratios, sum } from './statistics.ts';

test('median: the middle one, or the middle between two, in whatever order they come', () => {
  assert.equal(median([3]), 3);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 2, 3]), 2.5);
});

test('quantile: from the lowest to the highest, between two values by a straight line', () => {
  const values = Array.from({ length: 101 }, (_, index) => 100 - index);
  assert.equal(quantile(values, 0), 0);
  assert.equal(quantile(values, 0.99), 99);
  assert.equal(quantile(values, 1), 100);
  assert.equal(quantile([10, 20], 0.25), 12.5);
});

test('quantile: does not sort what it was given', () => {
  const values = [3, 1, 2];
  quantile(values, 0.5);
  assert.deepEqual(values, [3, 1, 2]);
});

test('quantile: of nothing, or no share: an error', () => {
  assert.throws(() => quantile([], 0.5), RangeError);
  assert.throws(() => quantile([1], 99), RangeError);
  assert.throws(() => quantile([1], Number.NaN), RangeError);
});

test('figureOf: the median and the spread', () => {
  assert.deepEqual(figureOf([2, 8, 4]), { median: 4, min: 2, max: 8, runs: 3 });
});

test('ratios: of each pair; one without a partner is an error', () => {
  assert.deepEqual(ratios([1, 3], [2, 4]), [0.5, 0.75]);
  assert.throws(() => ratios([1, 2], [1]), RangeError);
});

test('sum', () => {
  assert.equal(sum([]), 0);
  assert.equal(sum([1, 2, 3]), 6);
});
