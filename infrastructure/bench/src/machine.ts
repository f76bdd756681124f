// On what the figures were measured: without it they say nothing.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import type { Platform } from '@glasshouse/local/platform';
import { managementRequest } from '@glasshouse/local/servers';
import pg from 'pg';

/** The machine in one line. */
export function describeMachine(): string {
  const processors = cpus();
  const model = processors[0]?.model.trim() ?? 'unknown processor';
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GB of memory`;
  return `${processors.length} × ${model}, ${memory}, ${systemName()}, Node.js ${process.versions.node}`;
}

function systemName(): string {
  const kernel = `${type()} ${release()}`;
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
    return name === undefined ? kernel : `${name} (${kernel})`;
  } catch {
    return kernel;
  }
}

/** The servers that a platform stands on, with their versions. */
export async function describeServers({ admin, servers }: Platform): Promise<string> {
  const client = new pg.Client({ connectionString: admin.postgresUrl });
  await client.connect();
  const { rows } = await client.query<{ version: string; fsync: string }>(
    `select current_setting('server_version') as version, current_setting('fsync') as fsync`,
  );
  await client.end();
  const overview = await managementRequest(admin.managementUrl ?? '', '/api/overview');
  const { rabbitmq_version: rabbitmq } = (await overview.json()) as { rabbitmq_version: string };
  const mongo = servers.mongo?.kind === 'stand-in' ? "MongoDB's stand-in" : (servers.mongo?.kind ?? 'MongoDB');
  return `PostgreSQL ${rows[0]?.version} (fsync ${rows[0]?.fsync}), ${mongo}, RabbitMQ ${rabbitmq}`;
}

/** What of the code was measured, as git names it; undefined where it is no working copy. */
export function describeCode(): string | undefined {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    // But for the page that the figures go to.
    const isChanged =
      git('status', '--porcelain', '--untracked-files=no', '--', ':/', ':(top,exclude)docs/performance.md').trim() !==
      '';
    return `commit ${git('rev-parse', '--short', 'HEAD').trim()}${isChanged ? ', with changes' : ''}`;
  } catch {
    return undefined;
  }
}
