// Unit tests of the slow-down's arithmetic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Counter, claimTry, countFailure, secondsToWait } from './slow-down.ts';

const free = { account: 5, address: 20 };
const at = (seconds: number) => new Date(seconds * 1000);
const fresh = (kind: Counter['kind']): Counter => ({ key: '', kind, failures: 0, nextTryAt: at(0), forgetAt: at(0) });

test('countFailure: nobody waits up to the limit, then twice as long each time, 30 s at most', () => {
  for (const kind of ['account', 'address'] as const) {
    let counter = fresh(kind);
    const waits = Array.from({ length: free[kind] + 8 }, () => {
      counter = countFailure(counter, free, at(10));
      return secondsToWait(counter, free, at(10));
    });
    assert.deepEqual(waits, [...Array(free[kind] - 1).fill(0), 1, 2, 4, 8, 16, 30, 30, 30, 30]);
  }
});

test('claimTry: one passes and the next waits; where nobody has to wait, everybody passes', () => {
  const five = Array.from({ length: 5 }).reduce<Counter>(
    (counter) => countFailure(counter, free, at(0)),
    fresh('account'),
  );
  assert.equal(secondsToWait(five, free, at(1)), 0);
  const claimed = claimTry(five, free, at(1));
  assert.equal(secondsToWait(claimed, free, at(1)), 1);
  assert.equal(claimed.failures, 5);
  const four = { ...five, failures: 4 };
  assert.equal(claimTry(four, free, at(1)), four);
  const forgotten = claimTry(five, free, at(15 * 60));
  assert.equal(forgotten, five);
});

test('countFailure: for an account the last failure counts, for an address the first', () => {
  for (const [kind, failures] of [
    ['account', 3],
    ['address', 1],
  ] as const) {
    const twice = countFailure(countFailure(fresh(kind), free, at(0)), free, at(600));
    assert.equal(countFailure(twice, free, at(901)).failures, failures);
  }
});
