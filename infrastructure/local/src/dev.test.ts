// A change of the code starts again what runs it, gracefully and nothing else; code that does not start waits for the next change.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import { createRestarter, isMigration, partsOf, watchCode } from './dev.ts';
import { createProcessTable, waitUntilUp } from './processes.ts';
import { accepts, freePort } from './servers/index.ts';
import { services } from './services.ts';
import { createSupervisor } from './supervisor.ts';

const dir = mkdtempSync(join(tmpdir(), 'dev-'));
after(() => rmSync(dir, { recursive: true }));
const everything = ['payment-simulator', ...services.map(({ name }) => name)];

describe('partsOf', () => {
  for (const [file, parts] of [
    ['order-service/src/domain/order.ts', ['order-service']],
    ['order-service/migrations/003-more.sql', ['order-service']],
    ['order-service/package.json', ['order-service']],
    ['api-gateway/src/http/routes.ts', ['api-gateway']],
    ['infrastructure/payment-simulator/src/simulator.ts', ['payment-simulator']],
    ['shared/src/contracts/examples/order.created.json', everything],
    ['shared/package.json', everything],
    ['order-service/src/domain/order.test.ts', []],
    ['order-service/test/place-order.test.ts', []],
    ['order-service/README.md', []],
    ['order-service/src/.order.ts.swp', []],
    ['order-service/src/order.ts~', []],
    ['order-service/src/4913', []],
    ['infrastructure/local/src/cli.ts', []],
    ['README.md', []],
  ] as const)
    it(`${file}: ${parts.length === 7 ? 'all' : (parts[0] ?? 'none')}`, () => assert.deepEqual(partsOf(file), parts));
});

it('isMigration: what makes tables and collections, nothing else', () => {
  const files = ['order-service/migrations/003-more.sql', 'user-service/src/migrate.ts'];
  for (const file of [...files, 'product-service/src/data/collections.ts']) assert.ok(isMigration(file), file);
  const others = ['order-service/src/data/order-repository.ts', 'shared/src/postgres/migrate.ts'];
  for (const file of others) assert.ok(!isMigration(file), file);
});

function newRoot() {
  const root = mkdtempSync(join(dir, 'root-'));
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  return { root, write };
}

describe('watchCode', () => {
  it('tells the files that were written, replaced, made and dropped, together, once all is quiet', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const { root, write } = newRoot();
    write('order-service/src/http/routes.ts', 'one');
    write('order-service/src/dropped.ts', 'one');
    const told: string[][] = [];
    const stop = watchCode(root, (files) => told.push(files), 1_000);
    const look = () => t.mock.timers.tick(1_000);
    look();
    write('order-service/src/http/routes.ts', 'half');
    look();
    write('order-service/src/http/routes.ts', 'the whole');
    write('order-service/src/http/routes.test.ts', 'a test');
    look();
    // A folder that is replaced at once, as by a checkout, and a file that is saved by renaming.
    rmSync(join(root, 'order-service/src'), { recursive: true });
    write('order-service/src/http/routes.ts', 'the whole and more');
    write('shared/src/.new', 'x');
    renameSync(join(root, 'shared/src/.new'), join(root, 'shared/src/new.ts'));
    look();
    assert.deepEqual(told, [], 'it goes on');
    look();
    look();
    const changed = ['order-service/src/dropped.ts', 'order-service/src/http/routes.ts', 'shared/src/new.ts'];
    assert.deepEqual(told, [changed]);
    write('order-service/src/http/routes.ts', 'again, in the new folder');
    look();
    look();
    assert.deepEqual(told.slice(1), [['order-service/src/http/routes.ts']]);
    stop();
    write('shared/src/new.ts', 'later');
    look();
    look();
    assert.equal(told.length, 2);
  });
});

const main = `
import { createServer } from 'node:http';
import { answer } from './answer.ts';
process.on('SIGTERM', () => { console.log('stopped gracefully'); process.exit(0); });
createServer((_request, response) => response.end(answer)).listen(Number(process.env.PORT), '127.0.0.1');
`;
const answers = (text: string) => `export const answer: string = '${text}';\n`;

const hangs = `console.log('hangs'); await new Promise((done) => setTimeout(done, 600_000)); ${answers('never')}`;

/** Two services that answer what their code says, supervised as by \`npm run dev\`. */
async function newPlatform(t: TestContext, migrate: (service: string) => Promise<void> = async () => {}) {
  const { root, write } = newRoot();
  const table = createProcessTable();
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  const supervisor = createSupervisor({ table, log, restart: false });
  const ports = new Map<string, number>();
  const launches: string[] = [];
  const logFile = join(root, 'log');
  for (const name of ['order-service', 'payment-service']) {
    const port = await freePort();
    ports.set(name, port);
    write(`${name}/src/main.ts`, main);
    write(`${name}/src/answer.ts`, answers('one'));
    await supervisor.supervise(name, async () => {
      launches.push(name);
      const child = await table.start({
        name,
        stage: 'service',
        command: process.execPath,
        args: ['src/main.ts'],
        cwd: join(root, name),
        env: { ...process.env, PORT: String(port) },
        logFile,
      });
      await waitUntilUp(child, logFile, () => accepts(port));
      return child;
    });
  }
  launches.length = 0;
  const restarter = createRestarter({ processes: supervisor.processes, migrate, log });
  const unwatch = watchCode(root, restarter.changed, 50);
  t.after(async () => {
    unwatch();
    restarter.stop();
    await supervisor.stop();
  });
  return {
    ...{ write, table, lines, launches, supervisor, restarter },
    pid: (name: string) => supervisor.processes.get(name)?.pid(),
    ask: async (name: string) => (await fetch(`http://127.0.0.1:${ports.get(name)}`)).text(),
    logged: () => readFileSync(logFile, 'utf8'),
  };
}

describe('restarter', () => {
  it('when a file of a service changes, starts that service again, gracefully, and no other', async (t) => {
    const { write, ask, pid, lines, launches, logged } = await newPlatform(t);
    const [before, other] = [pid('order-service'), pid('payment-service')];
    write('order-service/src/answer.ts', answers('two'));
    await waitFor('a line that says so', () => lines.length > 0);
    assert.equal(await ask('order-service'), 'two');
    assert.match(lines.join('\n'), /^order-service restarted in \d+\.\d s: order-service\/src\/answer\.ts changed$/);
    assert.equal(logged(), 'stopped gracefully\n');
    assert.notEqual(pid('order-service'), before);
    assert.equal(pid('payment-service'), other);
    assert.deepEqual(launches, ['order-service']);
  });

  it('when the code cannot start, leaves it until the next change, and the others running', async (t) => {
    const { write, ask, pid, lines, launches, logged, restarter } = await newPlatform(t);
    write('order-service/src/answer.ts', 'const = 3;');
    await waitFor('a line that says so', () => lines.length > 0);
    assert.deepEqual(lines, ['order-service ended while starting; the next change starts it again']);
    assert.match(logged(), /SyntaxError/);
    assert.equal(pid('order-service'), undefined);
    assert.equal(await ask('payment-service'), 'one');
    await restarter.idle();
    assert.deepEqual(launches, ['order-service'], 'tried once');
    write('order-service/src/answer.ts', answers('repaired'));
    await waitFor('the repaired service', async () => (await ask('order-service')) === 'repaired');
    await waitFor('a line that says so', () => lines[1]?.startsWith('order-service restarted in '));
    assert.deepEqual(launches, ['order-service', 'order-service']);
  });

  it('when shared code changes, starts all again, one after the other', async (t) => {
    const { write, lines, launches } = await newPlatform(t);
    write('shared/src/index.ts', 'export {};');
    await waitFor('two lines that say so', () => lines.length === 2);
    assert.match(lines.join('\n'), /^order-service restarted .*index\.ts changed\npayment-service restarted /);
    assert.deepEqual(launches, ['order-service', 'payment-service']);
  });

  it('when a migration changes, runs it while the old code still answers; one that failed is run again', async (t) => {
    const seen: string[] = [];
    let fails = true;
    const { write, ask, lines, launches } = await newPlatform(t, async (service) => {
      seen.push(`${service} answers ${await ask(service)}`);
      if (fails) throw new Error(`${service}-migrate failed:\nits log`);
    });
    write('order-service/migrations/002.sql', 'selekt 1;');
    await waitFor('a line that says so', () => lines.length > 0);
    assert.deepEqual(lines, ['order-service-migrate failed; the next change starts it again']);
    assert.deepEqual(launches, [], 'the old code stays with the old schema');
    fails = false;
    write('order-service/src/answer.ts', answers('two'));
    await waitFor('a second line', () => lines.length > 1);
    assert.match(lines[1] ?? '', /^order-service restarted .*002\.sql and 1 more changed$/);
    assert.deepEqual(seen, ['order-service answers one', 'order-service answers one']);
    assert.equal(await ask('order-service'), 'two');
  });

  it('when code that never gets ready changes, does not wait for it', async (t) => {
    const { write, ask, lines, logged } = await newPlatform(t);
    write('order-service/src/answer.ts', hangs);
    await waitFor('the start', () => logged().includes('hangs'));
    write('order-service/src/answer.ts', answers('two'));
    await waitFor('a line that says so', () => lines.length > 0);
    assert.match(lines.join('\n'), /^order-service restarted in /);
    assert.equal(await ask('order-service'), 'two');
  });

  it('when everything is stopped in the middle of a restart, nothing is left and nothing is said', async (t) => {
    const { write, lines, launches, logged, table, supervisor, restarter } = await newPlatform(t);
    write('shared/src/index.ts', 'export {};');
    write('order-service/src/answer.ts', hangs);
    await waitFor('the start', () => logged().includes('hangs'));
    restarter.stop();
    await supervisor.stop();
    await restarter.idle();
    assert.deepEqual(table.running(), []);
    assert.deepEqual(launches, ['order-service']);
    assert.deepEqual(lines, []);
  });
});
