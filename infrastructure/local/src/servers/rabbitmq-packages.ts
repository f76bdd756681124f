// Finds RabbitMQ on this machine, or fetches the distribution's packages into a folder of ours without installing them.
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Log } from '../processes.ts';

const run = promisify(execFile);

export type RabbitMqBinaries = {
  server: string;
  /** Erlang's port mapper. */
  epmd: string;
  /** To be put before PATH. */
  path: string[];
  /** The folder to start in, where that matters. */
  cwd?: string;
  env?: Record<string, string>;
};

const HOW_TO_GET_IT =
  'RabbitMQ is missing: install it so that "rabbitmq-server" is on the PATH (https://www.rabbitmq.com/docs/download), or set RABBITMQ_URL to a running one.';

/**
 * `rabbitmq-server` on the PATH, else the packages unpacked in `cacheDir`, fetched with apt where they are not there yet.
 * @throws with one line that says what to do where there is neither
 */
export async function findRabbitMq(cacheDir: string, log: Log): Promise<RabbitMqBinaries> {
  const installed = findOnPath('rabbitmq-server');
  if (installed !== undefined) return fromInstallation(installed);
  const dist = resolve(cacheDir);
  if (!existsSync(dist)) {
    if (findOnPath('apt-get') === undefined || findOnPath('dpkg-deb') === undefined) throw new Error(HOW_TO_GET_IT);
    await fetchPackages(dist, log);
  }
  const bin = join(dist, 'usr', 'lib', 'erlang', 'bin');
  const server = realpathSync(join(dist, 'usr', 'lib', 'rabbitmq', 'bin', 'rabbitmq-server'));
  // Its scripts trip over spaces in the path to them, unless that is relative.
  return { server, epmd: join(bin, 'epmd'), path: [bin], cwd: dirname(server), env: { RABBITMQ_SCRIPTS_DIR: '.' } };
}

/** The file that the shell would run for `name`. */
export function findOnPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
}

function fromInstallation(found: string): RabbitMqBinaries {
  // Debian's /usr/sbin/rabbitmq-server starts the machine's own node as user "rabbitmq"; the real script lies beside.
  const behindWrapper = '/usr/lib/rabbitmq/bin/rabbitmq-server';
  const server = found.startsWith('/usr/sbin/') && existsSync(behindWrapper) ? behindWrapper : found;
  const erl = findOnPath('erl');
  const epmd = findOnPath('epmd') ?? (erl && join(dirname(realpathSync(erl)), 'epmd'));
  if (epmd === undefined || !existsSync(epmd))
    throw new Error(`${found} is there, but Erlang's "epmd" is not on the PATH; add its folder, or set RABBITMQ_URL.`);
  return { server, epmd, path: [dirname(realpathSync(found))] };
}

async function fetchPackages(dist: string, log: Log): Promise<void> {
  const making = `${dist}.${process.pid}.new`;
  const apt = join(making, 'apt');
  const root = join(making, 'root');
  mkdirSync(join(apt, 'archives', 'partial'), { recursive: true });
  mkdirSync(root);
  try {
    log('RabbitMQ: fetching the packages (once, about 35 MB)');
    await download(apt);
    for (const file of readdirSync(apt).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg-deb', ['-x', join(apt, file), root]);
    }
    makeRelocatable(root);
    dropUnusedPlugins(root);
    // Somebody else may have been faster; both copies are the same.
    if (!existsSync(dist)) renameSync(root, dist);
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

async function download(apt: string): Promise<void> {
  const machineLists = aptWith(apt, []);
  const ownLists = aptWith(apt, [`Dir::State::Lists "${join(apt, 'lists')}";`]);
  try {
    await downloadWith(apt, machineLists);
  } catch {
    // The machine's package lists are empty or too old: fetch fresh ones, for us alone.
    mkdirSync(join(apt, 'lists', 'partial'), { recursive: true });
    try {
      await run('apt-get', ['-q', ...ownLists, 'update']);
      await downloadWith(apt, ownLists);
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string };
      const reason = stderr.split('\n').find((line) => line.startsWith('E:')) ?? String(error);
      throw new Error(`${HOW_TO_GET_IT} (Fetching the packages failed: ${reason.trim()})`);
    }
  }
}

async function downloadWith(apt: string, options: string[]): Promise<void> {
  const names = await packageNames(options);
  await run('apt-get', ['-q', ...options, 'download', ...names], { cwd: apt });
}

/** RabbitMQ's package and the Erlang ones that it needs; libc, OpenSSL and the like are part of every system. */
async function packageNames(options: string[]): Promise<string[]> {
  const only = ['--no-recommends', '--no-suggests', '--no-conflicts', '--no-breaks', '--no-replaces', '--no-enhances'];
  const { stdout } = await run('apt-cache', [...options, 'depends', '--recurse', ...only, 'rabbitmq-server'], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const names = stdout.split('\n').filter((line) => /^(erlang-[a-z0-9-]+|rabbitmq-server)$/.test(line));
  if (!names.includes('rabbitmq-server') || !names.includes('erlang-base')) throw new Error('E: no such packages');
  return [...new Set(names)];
}

/** Options that make apt keep every file it writes in our folder, and run nothing of the machine's configuration. */
function aptWith(apt: string, lines: string[]): string[] {
  const file = join(apt, lines.length === 0 ? 'apt.conf' : 'apt-own-lists.conf');
  writeFileSync(
    file,
    [
      // Container images empty the machine's package cache after each update.
      '#clear APT::Update::Pre-Invoke;',
      '#clear APT::Update::Post-Invoke;',
      '#clear APT::Update::Post-Invoke-Success;',
      // As root, apt would fetch as user "_apt", who cannot enter our folder.
      'APT::Sandbox::User "";',
      `Dir::Cache "${apt}";`,
      ...lines,
      '',
    ].join('\n'),
  );
  return ['-c', file];
}

/** Erlang's start script has the folder it was built for written in it. */
function makeRelocatable(root: string): void {
  const script = join(root, 'usr', 'lib', 'erlang', 'bin', 'erl');
  const here = '"$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)"';
  writeFileSync(script, readFileSync(script, 'utf8').replaceAll(/^( *)ROOTDIR=\/.*$/gm, `$1ROOTDIR=${here}`));
}

/** Every module that Erlang loads at boot is searched for in each plugin's folder: half of them away saves a second. */
function dropUnusedPlugins(root: string): void {
  const lib = join(root, 'usr', 'lib', 'rabbitmq', 'lib');
  for (const server of readdirSync(lib)) {
    const plugins = join(lib, server, 'plugins');
    const folders = new Map(
      readdirSync(plugins).map((folder) => [folder.replace(/-[0-9].*$/, ''), join(plugins, folder)]),
    );
    const needed = new Set<string>();
    const need = (name: string) => {
      const folder = folders.get(name);
      if (folder === undefined || needed.has(name)) return;
      needed.add(name);
      const app = readFileSync(join(folder, 'ebin', `${name}.app`), 'utf8');
      const dependencies = app.match(/\{applications,\s*\[([^\]]*)\]/)?.[1] ?? '';
      for (const dependency of dependencies.match(/\w+/g) ?? []) need(dependency);
    };
    need('rabbit');
    need('rabbitmq_management');
    for (const [name, folder] of folders) {
      // Libraries stay: some are used without being named as a dependency.
      if (name.startsWith('rabbitmq_') && !needed.has(name)) rmSync(folder, { recursive: true });
    }
  }
}
