// All test files in one run: those that take long first, so that both processors are busy to the end; last, what only a whole run can tell.
import { writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { TEST_CONCURRENCY, TEST_TIMEOUT_MS } from './test-limits.ts';

const root = resolve(import.meta.dirname, '../../..');

const last = 'test/contract.test.ts';
/** Outages and chaos last minutes, most of which is waiting; and a platform of its own takes longer than a service of its own. */
const rank = (file: string) => {
  if (file === last) return 3;
  if (/^test\/(outages|chaos|failure-lab)[^/]*$/.test(file)) return 0;
  return /^test\/[^/]+$/.test(file) ? 1 : 2;
};
const files = process.argv.slice(2).toSorted((a, b) => rank(a) - rank(b));

const seenFile = process.env.CONTRACT_SEEN_FILE ?? '';
const allDoneFile = `${seenFile}-by-all`;
process.env.CONTRACT_ALL_DONE_FILE = allDoneFile;

const running = new Set(files);
const stream = run({
  files: files.map((file) => join(root, file)),
  cwd: root,
  concurrency: TEST_CONCURRENCY,
  timeout: TEST_TIMEOUT_MS,
  execArgv: ['--import', join(root, 'test/support/contract-watch.ts')],
});
stream.on('test:fail', () => {
  process.exitCode = 1;
});
stream.on('test:summary', ({ file }) => {
  if (file === undefined) return;
  running.delete(relative(root, file));
  if (running.size === 1 && running.has(last)) writeFileSync(allDoneFile, '');
});
stream.compose(new spec()).pipe(process.stdout);
