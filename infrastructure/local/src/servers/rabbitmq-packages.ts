// Finds RabbitMQ on this machine, or fetches the distribution's packages into a folder of ours without installing them.
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Log } from '../processes.ts';
import { fetchPackages, findOnPath } from './apt-packages.ts';

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
  if (!existsSync(dist))
    await fetchPackages({
      dist,
      name: 'rabbitmq-server',
      with: /^erlang-[a-z0-9-]+$/,
      howToGetIt: HOW_TO_GET_IT,
      onDownload: () => log('RabbitMQ: fetching the packages (once, about 35 MB)'),
      adapt(root) {
        makeRelocatable(root);
        dropUnusedPlugins(root);
      },
    });
  const bin = join(dist, 'usr', 'lib', 'erlang', 'bin');
  const server = realpathSync(join(dist, 'usr', 'lib', 'rabbitmq', 'bin', 'rabbitmq-server'));
  // Its scripts trip over spaces in the path to them, unless that is relative.
  return { server, epmd: join(bin, 'epmd'), path: [bin], cwd: dirname(server), env: { RABBITMQ_SCRIPTS_DIR: '.' } };
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
