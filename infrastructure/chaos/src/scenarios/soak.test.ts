// What a process weighs is what it keeps, not what it has left lying about.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { hasGrown, WEIGHABLE, weigh } from './soak.ts';

/** A process that has made 100,000 objects of a kilobyte. */
async function startProcess(t: TestContext, keepsThem: boolean): Promise<number> {
  const make = "Array.from({ length: 100_000 }, (_, index) => [index, 'x'.repeat(1_000) + index])";
  const script = `${keepsThem ? `globalThis.kept = ${make}` : make}; setInterval(() => {}, 1_000); console.log('made')`;
  const child = spawn(process.execPath, ['-e', script], {
    env: { ...process.env, ...WEIGHABLE },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

test('weigh: garbage counts for nothing, what is kept does', async (t) => {
  const pids = await Promise.all([startProcess(t, false), startProcess(t, true)]);
  const [light = 0, heavy = 0] = await Promise.all(pids.map(weigh));
  assert.ok(light > 20 && heavy < 500, `in megabytes: ${light}, ${heavy}`);
  assert.equal(hasGrown(light, heavy), true);
  const [lightAgain = 0, heavyAgain = 0] = await Promise.all(pids.map(weigh));
  assert.equal(hasGrown(light, lightAgain), false);
  assert.equal(hasGrown(heavy, heavyAgain), false);
});
