// When a process counts as having grown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growthOf } from './soak.ts';

const samples = (length: number, at: (index: number) => number) => Array.from({ length }, (_, index) => at(index));

test('a process that fills its caches first and then stays has not grown', () => {
  const each = samples(180, (index) => Math.min(60 + index, 110) + (index % 7));
  assert.equal(growthOf(each).hasGrown, false);
});

test('a process that goes on growing has', () => {
  assert.deepEqual(growthOf(samples(180, (index) => 100 + index / 3)), { warm: 125, last: 155, hasGrown: true });
});
