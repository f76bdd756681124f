// All tests in one run: those that take long first, so that both processors are busy to the end; last, what only a whole run can tell.
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { pathToFileURL } from 'node:url';
import { TEST_CONCURRENCY, TEST_TIMEOUT_MS } from './test-limits.ts';

const root = resolve(import.meta.dirname, '../../..');

const last = 'test/contract.test.ts';
/** Outages and chaos last minutes, most of which is waiting; and a platform of its own takes longer than a service of its own. */
const rank = (name: string) => {
  if (name === last) return 3;
  if (/^test\/(outages|chaos|failure-lab)[^/]*$/.test(name)) return 0;
  return /^test\/[^/]+$/.test(name) ? 1 : 2;
};

/** Gauges are of the whole process, so who reads them wants a process of their own. */
const alone = 'api-gateway/test/lifecycle.test.ts';
/** They use the same platform. The auditor's begin: they count what is there. */
const onOnePlatform = ['test/auditor.test.ts', 'test/every-call.test.ts', 'test/fuzz.test.ts'];
/**
 * What runs in one process, file after file: the tests of one service, those on one platform, and those of single functions. In a process each,
 * they would load the same code and warm it up again and again.
 */
const processOf = (file: string) => {
  if (file === alone) return file;
  if (onOnePlatform.includes(file)) return 'test/on-one-platform';
  if (/^(infrastructure\/)?[^/]+\/src\/|^test\/boundaries\//.test(file)) return 'units';
  return /^(api-gateway|[^/]+-service)\/test(?=\/)/.exec(file)?.[0] ?? file;
};

const seenFile = process.env.CONTRACT_SEEN_FILE ?? '';
const allDoneFile = `${seenFile}-by-all`;
process.env.CONTRACT_ALL_DONE_FILE = allDoneFile;

/** @returns the path of a file that runs them all, each as a suite: what it starts ends with it */
function together(name: string, files: readonly string[]): string {
  const path = `${seenFile}-${name.replace('/', '-')}.mjs`;
  const suites = files.map(
    (file) => `await describe('${file}', () => import('${pathToFileURL(join(root, file))}'));\n`,
  );
  // A suite that waits for nothing but timers that are not waited for would be taken for the end.
  const alive = 'const alive = setInterval(() => {}, 2 ** 30);\n';
  const count = `process.env.TEST_FILES_IN_PROCESS = '${files.length}';\n`;
  writeFileSync(
    path,
    `import { describe } from 'node:test';\n${count}${alive}${suites.join('')}clearInterval(alive);\n`,
  );
  return path;
}

const toRun = new Map(
  [...Map.groupBy(process.argv.slice(2), processOf)]
    .toSorted(([a], [b]) => rank(a) - rank(b))
    .map(([name, files]): [string, string] => [name, files.includes(name) ? join(root, name) : together(name, files)]),
);

const running = new Set(toRun.values());
const stream = run({
  files: [...running],
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
  running.delete(file);
  if (running.size === 1 && running.has(toRun.get(last) ?? '')) writeFileSync(allDoneFile, '');
});
stream.compose(new spec()).pipe(process.stdout);
