// Whether chance can be repeated, and is chance.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from './random.ts';

const row = (seed: string) => Array.from({ length: 20 }, createRandom(seed));

test('the same seed gives the same numbers, another seed others', () => {
  assert.deepEqual(row('7/kill'), row('7/kill'));
  assert.notDeepEqual(row('7/kill'), row('8/kill'));
});

test('every choice comes up, about as often as the others', () => {
  const random = createRandom('fair');
  const counts = [0, 0, 0];
  for (let round = 0; round < 3_000; round += 1) {
    const chosen = random.between(4, 6) - 4;
    counts[chosen] = (counts[chosen] ?? 0) + 1;
  }
  for (const count of counts) assert.ok(count > 900 && count < 1_100, String(counts));
  assert.deepEqual(new Set(Array.from({ length: 50 }, () => random.pick(['a', 'b']))), new Set(['a', 'b']));
});
