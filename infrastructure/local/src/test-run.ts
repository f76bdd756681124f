// `npm test`: types, format and lint, then every test against real servers that are started for it and stopped with it. Arguments are test files and options of `node --test`.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clearAway, killAll } from './clear-away.ts';
import { createProcessTable, isRunning, readState } from './processes.ts';
import { scratchFolder } from './scratch.ts';
import { startMongo, startPostgres, startRabbitMq } from './servers/index.ts';
import { ELSEWHERE_FILE } from './servers/postgres.ts';
import { TEST_CONCURRENCY, TEST_TIMEOUT_MS } from './test-limits.ts';

const root = resolve(import.meta.dirname, '../../..');
const cacheDir = join(root, '.local');
const scratch = scratchFolder(cacheDir);
const dir = join(scratch, `glasshouse-test-${process.pid}`);
// Where the tests make their temporary folders, so that nothing of them is left behind.
const temporaryDir = join(dir, 'tmp');
const patterns = [
  'shared/{src,test}/**/*.test.ts',
  '*-service/{src,test}/**/*.test.ts',
  'api-gateway/{src,test}/**/*.test.ts',
  'infrastructure/*/{src,test,mongo-standin}/**/*.test.ts',
  'test/**/*.test.ts',
];

const table = createProcessTable(join(dir, 'state.json'));
const foreground = new Set<ChildProcess>();
let ended: Promise<never> | undefined;

/** Runs a command in the foreground; returns its exit code. */
function run(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  if (ended !== undefined) return ended;
  // A process group of its own, so that it can be ended with all that it has started.
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', env, detached: true });
  foreground.add(child);
  return new Promise<number>((done) => {
    child.on('exit', (code) => done(code ?? 1));
    child.on('error', () => done(1));
  }).finally(() => foreground.delete(child));
}

/** Types, format and lint. @returns the exit code of what failed, or 0 */
async function checkCode(): Promise<number> {
  return (await run('npm', ['run', '--silent', 'types'])) || run('npm', ['run', '--silent', 'lint']);
}

/** The servers that the environment names, as a pipeline does, are used; the others are started. */
async function startServers(): Promise<NodeJS.ProcessEnv> {
  const log = (line: string) => console.log(line);
  const options = (name: string) => ({ dir: join(dir, name), log, processes: table });
  const given = process.env;
  const mongoUrl = given.TEST_MONGO_URL ?? given.MONGO_URL;
  const [postgres, rabbitmq, mongo] = await Promise.all([
    given.TEST_POSTGRES_URL === undefined ? startPostgres({ ...options('postgres'), fsync: false }) : undefined,
    given.TEST_RABBITMQ_URL === undefined
      ? startRabbitMq({ ...options('rabbitmq'), cacheDir: join(cacheDir, 'rabbitmq-dist') })
      : undefined,
    mongoUrl === undefined
      ? startMongo({ ...options('mongo'), cacheDir: join(cacheDir, 'mongodb-binaries') })
      : undefined,
  ]);
  console.log(`MongoDB: ${mongo?.kind ?? "the environment's"}`);
  return {
    ...given,
    TMPDIR: temporaryDir,
    NODE_COMPILE_CACHE: given.NODE_COMPILE_CACHE ?? join(cacheDir, 'compile-cache'),
    ...(postgres && { TEST_POSTGRES_URL: postgres.url }),
    ...(rabbitmq && {
      TEST_RABBITMQ_URL: rabbitmq.url,
      TEST_RABBITMQ_MANAGEMENT_URL: rabbitmq.managementUrl,
      // What `startRabbitMq` sets; one that is named counts as RabbitMQ does by itself.
      TEST_RABBITMQ_COUNTS_AGE_S: '1',
    }),
    TEST_MONGO_URL: mongo?.url ?? mongoUrl,
  };
}

/**
 * Makes what platforms begin with, where several are to be started.
 * @returns where it is, as a setting; nothing where it can't be copied: a real mongod has its port in its data, and PostgreSQL for `nobody` is elsewhere
 */
async function preparePlatforms(files: readonly string[]): Promise<NodeJS.ProcessEnv> {
  const data = join(dir, 'platform');
  if (files.filter((file) => dirname(file) === 'test').length < 2) return {};
  const code = await run(process.execPath, [join(root, 'test/support/prepare.ts'), data]);
  if (code !== 0) throw new Error('The data of the platforms under test could not be prepared.');
  const canBeCopied = existsSync(join(data, 'mongo/stand-in')) && !existsSync(join(data, 'postgres', ELSEWHERE_FILE));
  return canBeCopied ? { TEST_PLATFORM_DATA: data } : {};
}

async function endOne(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  process.kill(-child.pid, 'SIGTERM');
  const isGone = await Promise.race([exited.then(() => true), sleep(3_000, false)]);
  if (!isGone) process.kill(-child.pid, 'SIGKILL');
  await exited;
}

function end(code: number): Promise<never> {
  ended ??= (async () => {
    await Promise.all([...foreground].map(endOne));
    await killAll(table);
    await table.stopAll();
    await clearAway(dir);
    process.exit(code);
  })();
  return ended;
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void end(130));

async function main(): Promise<number> {
  mkdirSync(temporaryDir, { recursive: true });
  for (const folder of globSync('glasshouse-test-*', { cwd: scratch })) {
    const left = join(scratch, folder);
    const owner = readState(join(left, 'state.json'))?.owner;
    if (left !== dir && !(owner !== undefined && isRunning(owner))) await clearAway(left);
  }
  const wanted = process.argv.slice(2);
  const options = wanted.filter((argument) => argument.startsWith('-'));
  let files = wanted.filter((argument) => !argument.startsWith('-'));
  // Those of test/e2e need a whole platform: test/readme.test.ts runs them beside one.
  const exclude = ['**/node_modules/**', 'test/e2e/**'];
  if (files.length === 0) files = globSync(patterns, { cwd: root, exclude }).sort();
  const [code, servers, prepared] = await Promise.all([
    wanted.length === 0 ? checkCode() : 0,
    startServers(),
    preparePlatforms(files),
  ]);
  if (code !== 0) return code;
  const env = { ...servers, ...prepared };
  const watch = ['--import', join(root, 'test/support/contract-watch.ts')];
  env.CONTRACT_SEEN_FILE = join(temporaryDir, 'contract-seen');
  if (wanted.length === 0) return run(process.execPath, [join(import.meta.dirname, 'whole-run.ts'), ...files], env);
  return run(
    process.execPath,
    [
      ...watch,
      '--test',
      `--test-concurrency=${TEST_CONCURRENCY}`,
      `--test-timeout=${TEST_TIMEOUT_MS}`,
      '--test-reporter=spec',
      ...options,
      ...files,
    ],
    env,
  );
}

try {
  await end(await main());
} catch (error) {
  console.error((error as Error).message);
  await end(1);
}
