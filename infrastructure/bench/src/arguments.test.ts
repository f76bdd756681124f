// What the command makes of its arguments, and how it answers where it can't make anything of them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { CannotMeasure, measurements, readArguments } from './arguments.ts';

test('everything, where nobody says what', () => {
  const wanted = readArguments([]);
  assert.equal(wanted.only.size, measurements.length);
  assert.equal(wanted.runs, undefined);
  assert.equal(readArguments(['--quick']).only.has('growth'), false);
  assert.equal(readArguments(['--quick', '--only', 'f']).only.has('growth'), true);
  assert.equal(readArguments(['--quick', '--runs', '3']).runs, 3);
});

test('--only: by letter or by name', () => {
  assert.deepEqual([...readArguments(['--only', 'c, memory']).only], ['latency', 'memory']);
});

for (const [args, says] of [
  [['--only', 'speed'], /no measurement "speed"/],
  [['--only', ''], /no measurement ""/],
  [['--runs', '0'], /--runs is a whole number from 1 to 100, not "0"/],
  [['--runs', '1.5'], /--runs is a whole number/],
  [['--port-offset', '30000'], /--port-offset is a whole number/],
  [['--quick', '--write'], /--quick/],
  [['--slow'], /--slow/],
  [['gateway'], /gateway/],
] satisfies [string[], RegExp][])
  test(`${args.join(' ')}: a clear error`, () => {
    assert.throws(
      () => readArguments(args),
      (error) => error instanceof CannotMeasure && says.test(error.message),
    );
  });

const run = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], { encoding: 'utf8', timeout: 30_000 });

test('the command: --help tells what there is', () => {
  const { status, stdout } = run('--help');
  assert.equal(status, 0);
  for (const { name } of measurements) assert.match(stdout, new RegExp(name));
});

test('the command: what it does not understand ends it with a 2 and the reason alone', () => {
  const { status, stdout, stderr } = run('--only', 'speed');
  assert.deepEqual([status, stdout], [2, '']);
  assert.match(stderr, /^There is no measurement "speed"/);
  assert.doesNotMatch(stderr, /\n\s+at /);
});
