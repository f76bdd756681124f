// The commands of the README, of the page of endings and of the tour of the API, as they stand there, in a copy of the repository that has nothing but what git knows.
// All but `npm ci`: whoever runs this has just run it, and the copy is given what it has installed, and the servers that this run has fetched.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { createContractCheck, readDocument } from './support/contract-check.ts';

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
    timeout: 580_000,
  });
const scriptOf = (page: string) =>
  shellBlocks(readFileSync(join(root, page), 'utf8'))
    // The one block that is this very test run.
    .filter((block) => !block.includes('npm test'))
    .join('\n');

/** Links into the copy what is there of a folder. */
function takeOver(folder: string, names: readonly string[]): void {
  mkdirSync(join(copy, folder));
  for (const name of names)
    if (existsSync(join(root, folder, name))) symlinkSync(join(root, folder, name), join(copy, folder, name));
}

function takeOverInstallation(): void {
  // Where the workspaces are links, which have to lead into the copy.
  const workspaces = 'node_modules/@glasshouse';
  takeOver(
    'node_modules',
    readdirSync(join(root, 'node_modules')).filter((name) => name !== basename(workspaces)),
  );
  cpSync(join(root, workspaces), join(copy, workspaces), { recursive: true, verbatimSymlinks: true });
  takeOver('.local', ['rabbitmq-dist', 'mongodb-binaries', 'compile-cache']);
}

before(() => {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  execFileSync('tar', ['-cf', join(copy, 'copy.tar'), '--null', '-T', '-'], { cwd: root, input: files });
  execFileSync('tar', ['-xf', 'copy.tar'], { cwd: copy });
  takeOverInstallation();
});
after(() => {
  inCopy('npm stop');
  rmSync(copy, { recursive: true, force: true });
});

test('API tour: every call of the API answers as the page says', () => {
  const page = scriptOf('docs/api-tour.md');
  assert.match(page, /^npm start -- --detach\n[\s\S]*npm stop\n$/);
  // The README, which begins with the same start, goes on with this platform.
  const { status, stdout, stderr } = inCopy(page.replace(/npm stop\n$/, ''));
  assert.equal(status, 0, `${stdout.slice(-4_000)}\n${stderr.slice(-4_000)}`);
  const calls = [...stderr.matchAll(/^(\d{3}) ([A-Z]+) (\S+)$/gm)];
  const promised = [...page.matchAll(/^.* # (\d{3})$/gm)];
  assert.deepEqual(
    calls.map(([, answered, method, url]) => `${answered} ${method} ${url}`),
    promised.map(([, expected], index) => `${expected} ${calls[index]?.[2]} ${calls[index]?.[3]}`),
  );
  assert.match(stdout, /All is well/, 'the auditor is content');

  const document = readDocument();
  const { find } = createContractCheck(document);
  const urlOf = (url = '') => new URL(url.includes('://') ? url : `http://${url}`);
  const made = new Set(calls.map(([, , method = '', url]) => find(method, urlOf(url).pathname)?.operationId));
  const all = Object.values(document.paths).flatMap((item) => Object.values(item).map((each) => each.operationId));
  assert.deepEqual(
    all.filter((operationId) => !made.has(operationId)),
    [],
    'the page leaves none out',
  );
});

test('README: every command works as it stands, to the stop', () => {
  const script = scriptOf('README.md');
  assert.match(script, /^npm ci\nnpm start -- --detach\n[\s\S]*npm run audit[\s\S]*npm stop\n$/);
  const { status, stdout, stderr } = inCopy(script.replace(/^npm ci\nnpm start -- --detach\n/, ''));
  assert.equal(status, 0, `${stdout.slice(-4_000)}\n${stderr.slice(-4_000)}`);
  assert.match(stdout, /"type":"order\.created"/, 'the timeline was shown');
  assert.match(stdout, /50 orders by 1 customer/, 'the load ran');
  assert.match(stdout, /50 confirmed/, 'every order was confirmed');
  assert.match(stdout, /^ℹ fail 0$/m, 'the end-to-end tests ran');
  assert.match(stdout, /^\S{43} .* signs\n\S{43} .* accepted until /m, 'the key was rotated');
});

test('endings: every ending of an order can be followed by hand, as the page says', () => {
  const { status, stdout, stderr } = inCopy(scriptOf('docs/endings.md'));
  assert.equal(status, 0, `${stdout.slice(-4_000)}\n${stderr.slice(-4_000)}`);
  const shown = [...stdout.matchAll(/^((?:pending|confirmed|delivered|cancelled) \w*)\norder\.created → (.*)$/gm)];
  const [held, paid] = ['inventory.reserved', 'payment.captured order.confirmed'];
  const [undone, given] = ['order.cancelled inventory.released', 'payment.refunded'];
  assert.deepEqual(
    shown.map(([, state, timeline]) => [state?.trim(), timeline?.split(' → ').sort()]),
    [
      ['delivered', `${held} ${paid} order.shipped order.delivered`],
      ['delivered', `${held} ${paid} order.shipped order.delivered ${given}`],
      ['cancelled out_of_stock', 'inventory.rejected order.cancelled'],
      ['cancelled payment_declined', `${held} payment.failed ${undone}`],
      ['cancelled customer', `${held} ${paid} ${undone} ${given}`],
      ['cancelled customer', `${held} ${undone} payment.captured ${given}`],
      ['cancelled customer', `${held} ${undone}`],
      ['pending', held],
      ['confirmed', `${held} ${paid}`],
      ['confirmed', `${held} ${paid}`],
      ['cancelled timeout', `${held} ${undone}`],
      ['cancelled timeout', `${held} ${undone} payment.captured ${given}`],
      ['cancelled customer', `${held} ${paid} ${undone} payment.refund-failed`],
      ['cancelled customer', `${held} ${paid} ${undone} payment.refund-failed ${given}`],
    ].map(([state, timeline]) => [state, timeline?.split(' ').sort()]),
  );
  assert.match(stdout, /FAILED \(d\)[\s\S]*the auditor has found it[\s\S]*All is well/);
});
