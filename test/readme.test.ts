// The README's commands, as they stand there, in a copy of the repository that has nothing but what git knows.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const root = join(import.meta.dirname, '..');
const copy = mkdtempSync(join(tmpdir(), 'glasshouse-readme-'));

/** The shell blocks of a Markdown page, in order. */
function shellBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? '');
}

const inCopy = (script: string) =>
  spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: copy,
    encoding: 'utf8',
    // A shell of a newcomer's: npm's own variables would point into this run.
    env: {
      PATH: (process.env.PATH ?? '')
        .split(':')
        .filter((part) => !part.includes('node_modules'))
        .join(':'),
      HOME: process.env.HOME ?? copy,
    },
    maxBuffer: 64 * 2 ** 20,
    timeout: 240_000,
  });

after(() => {
  inCopy('npm stop');
  rmSync(copy, { recursive: true, force: true });
});

test('README: every command works as it stands, from a fresh copy to the stop', () => {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  execFileSync('tar', ['-cf', join(copy, 'copy.tar'), '--null', '-T', '-'], { cwd: root, input: files });
  execFileSync('tar', ['-xf', 'copy.tar'], { cwd: copy });

  const blocks = shellBlocks(readFileSync(join(root, 'README.md'), 'utf8'));
  // The one block that is this very test run.
  const script = blocks.filter((block) => !block.includes('npm test')).join('\n');
  assert.match(script, /npm ci[\s\S]*npm start[\s\S]*npm run audit[\s\S]*npm stop/);
  const { status, stdout, stderr } = inCopy(script);
  assert.equal(status, 0, `${stdout.slice(-4_000)}\n${stderr.slice(-4_000)}`);
  assert.match(stdout, /"type":"order\.created"/, 'the timeline was shown');
  assert.match(stdout, /50 orders by 1 customer/, 'the load ran');
  assert.match(stdout, /50 confirmed/, 'every order was confirmed');
});
