// docs/failure-lab.md and what it speaks of are the same: the scenarios of `npm run chaos`, the patterns that can be taken out, log lines, metrics and code.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { readArguments } from '../../infrastructure/chaos/src/arguments.ts';
import { scenarios } from '../../infrastructure/chaos/src/scenarios/index.ts';

const root = join(import.meta.dirname, '../..');
const docs = join(root, 'docs');
const page = readFileSync(join(docs, 'failure-lab.md'), 'utf8');
const patches = globSync('failure-lab/*.patch', { cwd: docs }).sort();
const sources = globSync(['shared/src/**/*.ts', '*-service/src/**/*.ts', 'api-gateway/src/**/*.ts'], { cwd: root })
  .filter((file) => !file.endsWith('.test.ts'))
  .map((file) => readFileSync(join(root, file), 'utf8'));
const commands = (name: string, text: string): string[] =>
  [...text.matchAll(new RegExp(`^npm run ${name} -- ([^#\n]*)`, 'gm'))].map(([, rest = '']) => rest.trim());
/** The group that a match has caught, wherever there is one. */
const allOf = (pattern: RegExp): string[] => [...page.matchAll(pattern)].map(([, found = '']) => found);

test('each scenario is on the page as a command, by its name or by that of its group, and each command can be given', () => {
  const given = commands('chaos', page).map((line) => readArguments(line.split(/\s+/), scenarios));
  const shown = new Set(given.filter(({ list }) => !list).flatMap((wanted) => wanted.scenarios));
  assert.deepEqual(
    scenarios.filter((scenario) => !shown.has(scenario)).map(({ name }) => name),
    [],
    'these have no command on the page',
  );
});

test('each pattern that can be taken out is on the page, its patch fits the code, and its scenario exists', () => {
  assert.deepEqual(
    commands('without', page).sort(),
    patches.map((file) => basename(file, '.patch')),
  );
  for (const patch of patches) {
    execFileSync('git', ['apply', '--check', join('docs', patch)], { cwd: root });
    const [line = '', ...more] = commands('chaos', readFileSync(join(docs, patch), 'utf8'));
    assert.equal(more.length, 0, `${patch} names one scenario`);
    assert.equal(readArguments(line.split(/\s+/), scenarios).scenarios.length, 1, patch);
  }
});

test('what is to be looked for in logs and metrics is what the services write', () => {
  const lines = allOf(/`told '([^']+)'`/g);
  assert.ok(lines.length > 10, `${lines.length} were found`);
  for (const line of lines)
    assert.ok(
      sources.some((source) => new RegExp(`logger\\.\\w+\\([^;]*'${line.replaceAll('.', '\\.')}'`).test(source)),
      `no service logs "${line}"`,
    );
  const metrics = allOf(/`metric \d+ (\w+)_(?:count|bucket|sum)`/g);
  assert.equal(metrics.length, allOf(/`metric (\d+)/g).length, 'each is one of a histogram');
  for (const metric of metrics) {
    const name = metric.replaceAll('_', '.');
    assert.ok(
      sources.some((source) => source.includes(`durationHistogram('${name}'`)),
      `no service has ${name}`,
    );
  }
});

test('each link leads somewhere, and the code that is named is in its file', () => {
  const headings = allOf(/^#+ (.+)$/gm).map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const [, text = '', target = '', rest = ''] of page.matchAll(
    /\[([^\]]+)\]\(([^)]+)\)((?:,? (?:and )?`[^`]+`)*)/g,
  )) {
    const [file = '', anchor] = target.split('#');
    if (file === '') {
      assert.ok(headings.includes(anchor ?? ''), `the page has no section ${target}`);
      continue;
    }
    assert.ok(existsSync(join(docs, file)), `${target} is not there`);
    if (!file.endsWith('.ts')) continue;
    const code = readFileSync(join(docs, file), 'utf8');
    for (const [, name = ''] of `${text}${rest}`.matchAll(/`([^`]+)`/g))
      assert.ok(code.includes(name), `${file} has no ${name}`);
  }
});
