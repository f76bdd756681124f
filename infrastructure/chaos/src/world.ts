// The platform with several copies of its services, and a handle on everything that can break: processes, networks, the payment provider.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { killAll } from '@glasshouse/local/clear-away';
import { type Platform, startPlatform } from '@glasshouse/local/platform';
import { createProcessTable } from '@glasshouse/local/processes';
import { scratchFolder } from '@glasshouse/local/scratch';
import { removePostgres } from '@glasshouse/local/servers';
import type { Replicas } from '@glasshouse/local/services';
import type { SupervisedProcess } from '@glasshouse/local/supervisor';
import { createProvider, type Provider } from '@glasshouse/payment-simulator/client';
import type { ServiceName } from '@glasshouse/shared/contracts';
import { createTcpProxy, type TcpProxy } from '@glasshouse/shared/testing';

/** Those with a database and the broker; the gateway has neither. */
export const statefulServices = [
  'user-service',
  'product-service',
  'order-service',
  'payment-service',
  'notification-service',
] as const satisfies readonly ServiceName[];
export type StatefulService = (typeof statefulServices)[number];
export const allServices = [...statefulServices, 'api-gateway'] as const;

/** What a copy's connections lead to. */
export type Neighbour = 'database' | 'broker';

export interface World {
  platform: Platform;
  /** Where it keeps everything until it stops: logs, mails, and the settings of the auditor and the other tools. */
  dir: string;
  gatewayUrls: string[];
  provider: Provider;
  /** A process by the name that `npm run status` shows. */
  process(name: string): SupervisedProcess;
  copiesOf(service: string): SupervisedProcess[];
  /** What stands between the copies of a service and its database or the broker, one for each copy. */
  linksOf(service: StatefulService, neighbour: Neighbour): TcpProxy[];
  /** What the copies of a service are told on top when they are started next, by setting. */
  told: Map<string, NodeJS.ProcessEnv>;
  /** What has ended though nobody wanted it to, in words. */
  endedByItself: string[];
  stop(): Promise<void>;
}

/** How a service is told where its neighbour is. */
const settingsOf: Record<Neighbour, readonly string[]> = {
  database: ['DATABASE_URL', 'MONGO_URL'],
  broker: ['RABBITMQ_URL'],
};

/**
 * @param options.data what it begins with, as `preparePlatform` makes it; all is made anew where there is nothing
 * @param options.env for the services, on top of what keeps limits out of the way
 */
export async function startWorld(options: {
  copies: Replicas;
  portOffset: number;
  cacheDir: string;
  data?: string | undefined;
  env?: NodeJS.ProcessEnv;
  log?: (line: string) => void;
}): Promise<World> {
  const { copies, portOffset, cacheDir, data, env = {}, log = () => {} } = options;
  // What is kept has to outlive processes that are killed, not the machine.
  const dir = mkdtempSync(join(process.env.TMPDIR ?? scratchFolder(cacheDir), 'glasshouse-chaos-'));
  const processes = createProcessTable(join(dir, 'state.json'));
  const links = new Map<string, TcpProxy>();
  const told = new Map<string, NodeJS.ProcessEnv>();
  const endedByItself: string[] = [];
  let isStopping = false;
  const { PATH = '', HOME = '', LOG_LEVEL = 'warn' } = process.env;

  const through = async (copy: string, neighbour: Neighbour, target: string): Promise<string> => {
    const name = `${copy} ${neighbour}`;
    const link = links.get(name) ?? (await createTcpProxy(target));
    links.set(name, link);
    return link.url;
  };

  let platform: Platform;
  try {
    if (data !== undefined) cpSync(data, dir, { recursive: true });
    platform = await startPlatform({
      dir,
      cacheDir,
      portOffset,
      isPrepared: data !== undefined,
      replicas: copies,
      env: {
        PATH,
        HOME,
        LOG_LEVEL,
        RATE_LIMIT_PER_MINUTE: '0',
        AUTH_RATE_LIMIT_PER_MINUTE: '0',
        ...env,
      },
      log(line) {
        if (isStopping) return;
        if (line.includes('ended by itself')) endedByItself.push(line);
        log(line);
      },
      processes,
      restart: false,
      fsync: false,
      async adjust({ name }, settings) {
        const adjusted = { ...settings, ...told.get(name.replace(/-\d+$/, '')) };
        for (const [neighbour, names] of Object.entries(settingsOf) as [Neighbour, readonly string[]][])
          for (const setting of names) {
            const target = settings[setting];
            if (target === undefined) continue;
            const url = new URL(await through(name, neighbour, target));
            // The driver would go to the address that the server says it has, past the proxy.
            if (setting === 'MONGO_URL') url.searchParams.set('directConnection', 'true');
            adjusted[setting] = url.href;
          }
        return adjusted;
      },
    });
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }

  const find = (name: string): SupervisedProcess => {
    const found = platform.processes.get(name);
    if (found === undefined) throw new Error(`there is no process ${name}`);
    return found;
  };
  const namesOf = (service: string) =>
    (platform.urls[service] ?? []).map((_, index) => (index === 0 ? service : `${service}-${index + 1}`));

  return {
    platform,
    dir,
    gatewayUrls: platform.urls['api-gateway'] ?? [],
    provider: createProvider(platform.auditEnv.AUDIT_LEDGER_URL ?? ''),
    process: find,
    copiesOf: (service) => namesOf(service).map(find),
    linksOf: (service, neighbour) =>
      namesOf(service).map((name) => {
        const link = links.get(`${name} ${neighbour}`);
        if (link === undefined) throw new Error(`${name} has no ${neighbour}`);
        return link;
      }),
    told,
    endedByItself,
    async stop() {
      isStopping = true;
      await processes.stopAll(['service']);
      await killAll(processes);
      await platform.stop();
      await Promise.all([...links.values()].map((link) => link.stop()));
      removePostgres(join(dir, 'postgres'));
      rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
