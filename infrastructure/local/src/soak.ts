// Runs the saga's hardest tests over and over, for as long as one likes, and says how often each ran and failed:
//   npm run soak                                        an hour of the saga matrix and the crash points
//   npm run soak -- --minutes 10 test/saga.test.ts      other files
// Every round starts platforms of its own. A failure is printed when it happens; the exit code is 1 if there was one.
import { globSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from 'node:test';
import { inspect, parseArgs } from 'node:util';
import { clearAway } from './clear-away.ts';
import { scratchFolder } from './scratch.ts';

const root = resolve(import.meta.dirname, '../../..');
function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options: { minutes: { type: 'string', default: '60' } } });
  } catch (error) {
    console.error((error as Error).message);
    return process.exit(1);
  }
}

const { values, positionals } = readArguments();
const minutes = Number(values.minutes);
const patterns = positionals.length > 0 ? positionals : ['test/matrix-*.test.ts', 'test/crash-points-*.test.ts'];
const files = globSync(patterns, { cwd: root }).sort();
if (!(minutes > 0) || files.length === 0) {
  console.error('--minutes is a positive number, and the other arguments are test files.');
  process.exit(1);
}

const counts = new Map<string, { passed: number; failed: number }>();
process.env.NODE_COMPILE_CACHE ??= join(root, '.local', 'compile-cache');
const interrupted = new AbortController();
const scratch = scratchFolder(tmpdir());
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interrupted.abort());

async function round(): Promise<{ passed: number; failed: number }> {
  const sums = { passed: 0, failed: 0 };
  // Where the tests make their temporary folders: a platform of a file that was ended in the middle would keep its ports from the next round.
  const temporaryDir = mkdtempSync(join(scratch, 'glasshouse-soak-'));
  process.env.TMPDIR = temporaryDir;
  const tests = run({ files, cwd: root, concurrency: 2, timeout: 1_200_000, signal: interrupted.signal });
  const count = (name: string, outcome: 'passed' | 'failed') => {
    const entry = counts.get(name) ?? { passed: 0, failed: 0 };
    entry[outcome] += 1;
    sums[outcome] += 1;
    counts.set(name, entry);
  };
  tests.on('test:pass', ({ name, details }) => {
    if (details.type !== 'suite') count(name, 'passed');
  });
  tests.on('test:fail', ({ name, details }) => {
    if (interrupted.signal.aborted) return;
    count(name, 'failed');
    console.log(`FAILED ${new Date().toISOString()} ${name}\n${inspect(details.error, { depth: 5 })}`);
  });
  for await (const _event of tests);
  await clearAway(temporaryDir);
  return sums;
}

const startedAt = performance.now();
const elapsedMinutes = () => (performance.now() - startedAt) / 60_000;
let rounds = 0;
let failures = 0;
while (elapsedMinutes() < minutes && !interrupted.signal.aborted) {
  const roundStartedAt = performance.now();
  const { passed, failed } = await round();
  rounds += 1;
  failures += failed;
  const seconds = ((performance.now() - roundStartedAt) / 1000).toFixed(0);
  console.log(
    `round ${rounds}: ${passed} passed, ${failed} failed, ${seconds} s; ${elapsedMinutes().toFixed(0)} min in all`,
  );
}

console.log(`\n${'passed'.padStart(7)} ${'failed'.padStart(7)}  test`);
for (const [name, { passed, failed }] of counts)
  console.log(`${String(passed).padStart(7)} ${String(failed).padStart(7)}  ${name}`);
console.log(
  `\n${rounds} rounds in ${elapsedMinutes().toFixed(1)} min: ${counts.size === 0 ? 'no test ran' : failures === 0 ? 'nothing failed' : `${failures} failures`}.`,
);
process.exit(failures === 0 && counts.size > 0 ? 0 : 1);
