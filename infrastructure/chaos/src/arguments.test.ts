// What the command makes of its arguments.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readArguments, WrongArgument } from './arguments.ts';
import type { Scenario } from './scenario.ts';

const named = (name: string, isOnRequest = false): Scenario => ({ name, says: '', isOnRequest, round: async () => {} });
const all = [named('kill-a'), named('kill-b'), named('killer'), named('soak', true)];
const chosen = (...args: string[]) => readArguments(args, all).scenarios.map(({ name }) => name);

test('all scenarios, but for those that have to be asked for', () => {
  assert.deepEqual(chosen(), ['kill-a', 'kill-b', 'killer']);
  assert.deepEqual(chosen('--scenario', 'all,soak'), ['kill-a', 'kill-b', 'killer', 'soak']);
});

test('a name stands for itself, and for those that begin with it and a hyphen', () => {
  assert.deepEqual(chosen('--scenario', 'kill'), ['kill-a', 'kill-b']);
  assert.deepEqual(chosen('--scenario', 'kill-b, kill'), ['kill-b', 'kill-a']);
});

test('the orders are shared out among the scenarios', () => {
  assert.equal(readArguments(['--orders', '1000'], all).orders, 334);
  assert.equal(readArguments(['--orders', '3'], all).orders, 10);
});

test('a seed is made up where none is given', () => {
  assert.equal(readArguments(['--seed', 'seven'], all).seed, 'seven');
  assert.notEqual(readArguments([], all).seed, readArguments([], all).seed);
});

test('copies: of every service, or of those that are named', () => {
  assert.equal(readArguments([], all).copies, 2);
  assert.equal(readArguments(['--copies', '3'], all).copies, 3);
  const some = readArguments(['--copies', 'order-service=2, api-gateway=3'], all).copies;
  assert.deepEqual(some, { 'order-service': 2, 'api-gateway': 3 });
});

for (const args of [
  ['--scenario', 'nothing'],
  ['--orders', 'many'],
  ['--rate', '0'],
  ['--deadline', '-1'],
  ['--copies', '1.5'],
  ['--copies', 'nobody=2'],
  ['--copies', 'order-service=2,3'],
  ['--what'],
  ['kill'],
])
  test(`${args.join(' ')}: a clear error`, () => {
    assert.throws(() => readArguments(args, all), WrongArgument);
  });
