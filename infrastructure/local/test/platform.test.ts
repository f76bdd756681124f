// A start that does not succeed leaves nothing running, wherever it was.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, describe, it } from 'node:test';
import { startPlatform } from '../src/platform.ts';
import { createProcessTable } from '../src/processes.ts';
import { removePostgres } from '../src/servers/index.ts';

const root = resolve(import.meta.dirname, '../../..');
const dir = mkdtempSync(join(tmpdir(), 'platform-'));

after(() => {
  for (const name of readdirSync(dir)) removePostgres(join(dir, name, 'postgres'));
  rmSync(dir, { recursive: true });
});

function newStart(name: string, env: Record<string, string> = {}, log: (line: string) => void = () => {}) {
  const { PATH = '', HOME = '' } = process.env;
  const processes = createProcessTable(join(dir, name, 'state.json'));
  const cancel = new AbortController();
  const options = { dir: join(dir, name), cacheDir: join(root, '.local'), env: { PATH, HOME, ...env } };
  const starting = startPlatform({
    ...options,
    processes,
    log,
    signal: cancel.signal,
    portOffset: 6_000,
    fsync: false,
  });
  return { starting, processes, cancel };
}

describe('startPlatform', () => {
  it('when a migration fails while servers are still starting, says why and ends all', async () => {
    const { starting, processes } = newStart('fails', { USERS_DATABASE_URL: 'postgres://nobody@127.0.0.1:1/users' });
    await assert.rejects(starting, /^Error: user-service-migrate failed:[\s\S]*ECONNREFUSED/);
    assert.deepEqual(processes.running(), []);
  });

  it('when it is given up half-way, ends all', async () => {
    const half = Promise.withResolvers<void>();
    const { starting, processes, cancel } = newStart('given-up', {}, (line) => {
      if (line.startsWith('PostgreSQL  ')) half.resolve();
    });
    await half.promise;
    assert.notEqual(processes.running().length, 0);
    cancel.abort();
    await assert.rejects(starting, /^Error: The start was given up\.$/);
    assert.deepEqual(processes.running(), []);
  });
});

describe('npm start', () => {
  for (const [words, line] of [
    [['start', '--detatch'], "Unknown option '--detatch'"],
    [['start', 'everything'], 'Unknown argument: everything'],
    [['dev', '--detach'], '--detach is for `npm start`.'],
    [['logs', '--lines', 'few'], '--lines is a number from 0 on.'],
  ] as const)
    it(`${words.join(' ')}: one line says what is wrong`, () => {
      const cli = join(root, 'infrastructure/local/src/cli.ts');
      const { status, stderr, stdout } = spawnSync(process.execPath, [cli, ...words], { encoding: 'utf8' });
      assert.deepEqual([status, stderr, stdout], [1, `${line}\n`, '']);
    });
});
