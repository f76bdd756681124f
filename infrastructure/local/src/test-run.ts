// `npm test`: types, format and lint, then every test against real servers that are started for it and stopped with it. Arguments are test files.
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createProcessTable } from './processes.ts';
import { removePostgres, startMongo, startPostgres, startRabbitMq } from './servers/index.ts';

const root = resolve(import.meta.dirname, '../../..');
const dir = join(root, '.local', `test-${process.pid}`);
const cacheDir = join(root, '.local');
const wanted = process.argv.slice(2);
const patterns = [
  'shared/{src,test}/**/*.test.ts',
  '*-service/{src,test}/**/*.test.ts',
  'api-gateway/{src,test}/**/*.test.ts',
  'infrastructure/*/{src,test,mongo-standin}/**/*.test.ts',
  'test/**/*.test.ts',
];

/** Runs a command in the foreground; returns its exit code. */
function run(command: string, args: string[], env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', env });
  return new Promise((done) => {
    child.on('exit', (code) => done(code ?? 1));
    child.on('error', () => done(1));
  });
}

const table = createProcessTable(join(dir, 'state.json'));
const stops: (() => Promise<void>)[] = [];
const log = (line: string) => console.log(line);

async function startServers(): Promise<NodeJS.ProcessEnv> {
  const [postgres, rabbitmq, mongo] = await Promise.all([
    startPostgres({ dir: join(dir, 'postgres'), log, processes: table, fsync: false }),
    startRabbitMq({ dir: join(dir, 'rabbitmq'), cacheDir: join(cacheDir, 'rabbitmq-dist'), log, processes: table }),
    process.env.MONGO_URL === undefined
      ? startMongo({ dir: join(dir, 'mongo'), cacheDir: join(cacheDir, 'mongodb-binaries'), log, processes: table })
      : undefined,
  ]);
  stops.push(
    () => postgres.stop(),
    () => rabbitmq.kill(),
    async () => mongo?.stop(),
  );
  console.log(`MongoDB: ${mongo?.kind ?? 'MONGO_URL'}`);
  return {
    ...process.env,
    TEST_POSTGRES_URL: postgres.url,
    TEST_RABBITMQ_URL: rabbitmq.url,
    TEST_RABBITMQ_MANAGEMENT_URL: rabbitmq.managementUrl,
    TEST_MONGO_URL: mongo?.url ?? process.env.MONGO_URL ?? '',
  };
}

async function end(code: number): Promise<never> {
  await Promise.allSettled(stops.map((stop) => stop()));
  await Promise.allSettled(table.running().map((left) => left.kill()));
  removePostgres(join(dir, 'postgres'));
  rmSync(dir, { recursive: true, force: true });
  process.exit(code);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void end(130));

mkdirSync(dir, { recursive: true });
try {
  if (wanted.length === 0) {
    for (const part of ['types', 'lint']) {
      const code = await run('npm', ['run', '--silent', part]);
      if (code !== 0) await end(code);
    }
  }
  const files = wanted.length > 0 ? wanted : globSync(patterns, { cwd: root, exclude: ['**/node_modules/**'] }).sort();
  const env = await startServers();
  await end(await run(process.execPath, ['--test', '--test-concurrency=2', '--test-reporter=spec', ...files], env));
} catch (error) {
  console.error((error as Error).message);
  await end(1);
}
