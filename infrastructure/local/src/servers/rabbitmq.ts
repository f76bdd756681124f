// Runs a RabbitMQ node of our own: its own folder, name, cookie, ports and port mapper, on 127.0.0.1 only.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createProcessTable, type Log, type ManagedProcess, type ProcessTable, waitUntilUp } from '../processes.ts';
import { accepts, freePorts, isFree } from './ports.ts';
import { findRabbitMq, type RabbitMqBinaries } from './rabbitmq-packages.ts';

export type RabbitMqServer = {
  /** AMQP, as an administrator, virtual host `/`. */
  url: string;
  /** The management API, with the administrator's name and password in it. */
  managementUrl: string;
  ports: RabbitMqPorts;
  nodeName: string;
  pid: number;
  process: ManagedProcess;
  /**
   * Lets the node think that it is out of memory, or that it has enough again: while it does, it reads nothing more from
   * connections that publish. Takes a second or two; the alarm is on, or off, when it returns.
   */
  setMemoryAlarm(on: boolean): Promise<void>;
  /** Stops the node and its port mapper; messages stay. Takes 6 s, of which the management plugin waits 5. */
  stop(): Promise<void>;
  /** Kills both at once, as a crash would. */
  kill(): Promise<void>;
};

/** RabbitMQ's definitions: what `brokerDefinitions` of @glasshouse/shared/event-bus makes, or less. */
export type BrokerDefinitions = {
  vhosts?: { name: string }[];
  users?: object[];
  permissions?: object[];
  [part: string]: unknown;
};

export type RabbitMqOptions = {
  /** Where messages and settings are kept. Made if missing. */
  dir: string;
  /** Where the unpacked packages are kept, for all nodes. Default: `<dir>/../rabbitmq-dist`. */
  cacheDir?: string;
  /** Loaded before the first client gets in; what is there already stays. */
  definitions?: BrokerDefinitions;
  ports?: RabbitMqPorts;
  log: Log;
  processes?: ProcessTable;
  logFile?: string;
};

export type RabbitMqPorts = { amqp: number; management: number; distribution: number; epmd: number };

const ADMIN = 'admin';
// The node's data is found by this name, so it never changes; nodes do not collide, each has a port mapper of its own.
const NODE_NAME = 'rabbit@localhost';
// The list of quorum queues is written to the disk half a second after its last change: a node killed before that has
// forgotten new queues with all that was confirmed in them (seen with RabbitMQ 3.10).
const QUEUE_LIST_SAVED_AFTER_MS = 1_000;
/** The share of the machine's memory from which on the node takes no more messages. */
const MEMORY_LIMIT = 0.4;

const run = promisify(execFile);

/**
 * Starts RabbitMQ with the management plugin.
 * @throws where it cannot be had or does not come up, with the last lines of its log
 */
export async function startRabbitMq(options: RabbitMqOptions): Promise<RabbitMqServer> {
  const { log, processes = createProcessTable(), definitions = {} } = options;
  const dir = resolve(options.dir);
  const binaries = await findRabbitMq(options.cacheDir ?? join(dir, '..', 'rabbitmq-dist'), log);
  mkdirSync(join(dir, 'home'), { recursive: true, mode: 0o700 });
  const logFile = options.logFile ?? join(dir, 'rabbitmq.log');
  const password = readOrCreate(join(dir, 'admin-password'), () => randomBytes(24).toString('base64url'));
  readOrCreate(join(dir, 'home', '.erlang.cookie'), () => randomBytes(24).toString('hex'), 0o400);
  // A free port may be lost to somebody else before the node has it.
  for (let attempt = 1; ; attempt++) {
    const ports = options.ports ?? (await pickPorts());
    const env = configure({ dir, ports, definitions: withAdmin(definitions, password), binaries });
    try {
      return await startNode({ dir, ports, env, binaries, password, logFile, processes });
    } catch (error) {
      const areFree = await Promise.all(Object.values(ports).map(isFree));
      if (options.ports !== undefined || attempt === 3 || !areFree.includes(false)) throw error;
    }
  }
}

async function pickPorts(): Promise<RabbitMqPorts> {
  const [amqp = 0, management = 0, distribution = 0, epmd = 0] = await freePorts(4);
  return { amqp, management, distribution, epmd };
}

type NodeOptions = {
  dir: string;
  ports: RabbitMqPorts;
  env: NodeJS.ProcessEnv;
  binaries: RabbitMqBinaries;
  password: string;
  logFile: string;
  processes: ProcessTable;
};

async function startNode(options: NodeOptions): Promise<RabbitMqServer> {
  const { dir, ports, env, binaries, password, logFile, processes } = options;
  const url = `amqp://${ADMIN}:${password}@127.0.0.1:${ports.amqp}/`;
  const managementUrl = `http://${ADMIN}:${password}@127.0.0.1:${ports.management}`;
  // The node would start a port mapper that outlives it; ours is a child like any other.
  const epmd = await processes.start({
    name: 'rabbitmq-epmd',
    stage: 'helper',
    command: binaries.epmd,
    args: ['-port', String(ports.epmd), '-address', '127.0.0.1'],
    env,
    cwd: dir,
    logFile,
    port: ports.epmd,
  });
  const isFirstStart = !existsSync(join(dir, 'data'));
  try {
    const node = await processes.start({
      name: 'rabbitmq',
      stage: 'server',
      command: binaries.server,
      env: { ...env, ...binaries.env },
      cwd: binaries.cwd ?? dir,
      logFile,
      port: ports.amqp,
    });
    await waitUntilUp(
      node,
      logFile,
      async () => (await accepts(ports.amqp)) && (await managementAnswers(managementUrl)),
    );
    if (isFirstStart) await sleep(QUEUE_LIST_SAVED_AFTER_MS);
    return {
      url,
      managementUrl,
      ports,
      nodeName: NODE_NAME,
      pid: node.pid,
      process: node,
      async setMemoryAlarm(on) {
        await control({ env, binaries }, 'set_vm_memory_high_watermark', on ? '0' : String(MEMORY_LIMIT));
      },
      async stop() {
        await node.stop(30_000);
        await epmd.stop();
      },
      async kill() {
        await node.kill();
        await epmd.stop();
      },
    };
  } catch (error) {
    await epmd.stop();
    throw error;
  }
}

/** Runs a command of `rabbitmqctl`, which every RabbitMQ has beside its server. */
async function control({ env, binaries }: Pick<NodeOptions, 'env' | 'binaries'>, ...args: string[]): Promise<void> {
  const program = join(dirname(realpathSync(binaries.server)), 'rabbitmqctl');
  await run(program, args, { env: { ...env, ...binaries.env }, cwd: binaries.cwd, timeout: 30_000 });
}

/** Writes the node's settings and returns its environment. Every setting is known to RabbitMQ 3.10 and 4. */
function configure(options: {
  dir: string;
  ports: RabbitMqPorts;
  definitions: BrokerDefinitions;
  binaries: RabbitMqBinaries;
}): NodeJS.ProcessEnv {
  const { dir, ports, definitions, binaries } = options;
  const file = (name: string, content: string) => {
    writeFileSync(join(dir, name), content, { mode: 0o600 });
    return join(dir, name);
  };
  const definitionsFile = file('definitions.json', JSON.stringify(definitions, null, 2));
  const settings = {
    'listeners.tcp.1': `127.0.0.1:${ports.amqp}`,
    'management.tcp.ip': '127.0.0.1',
    'management.tcp.port': ports.management,
    'management.rates_mode': 'none',
    load_definitions: definitionsFile,
    'vm_memory_high_watermark.relative': MEMORY_LIMIT,
    // A queue's log is held in memory until a file of this size is full (default: 512 MB).
    'raft.wal_max_size_bytes': 32 * 1024 * 1024,
    'log.file.level': 'warning',
  };
  return {
    PATH: [...binaries.path, process.env.PATH].join(delimiter),
    LANG: 'C.UTF-8',
    HOME: join(dir, 'home'),
    RABBITMQ_NODENAME: NODE_NAME,
    RABBITMQ_MNESIA_BASE: join(dir, 'data'),
    RABBITMQ_LOG_BASE: join(dir, 'logs'),
    RABBITMQ_CONFIG_FILE: file('rabbitmq.conf', toConf(settings)),
    // Queue lengths in the management API are at most 1 s old (default: 5 s).
    RABBITMQ_ADVANCED_CONFIG_FILE: file(
      'advanced.config',
      '[{rabbit, [{collect_statistics_interval, 1000}, {quorum_tick_interval, 1000}]}].\n',
    ),
    RABBITMQ_ENABLED_PLUGINS_FILE: file('enabled_plugins', '[rabbitmq_management].\n'),
    // Not the machine's /etc/rabbitmq/rabbitmq-env.conf.
    RABBITMQ_CONF_ENV_FILE: join(dir, 'none'),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    // The start script becomes the node, instead of waiting for it as a shell between us and it.
    RUNNING_UNDER_SYSTEMD: 'true',
  };
}

function toConf(settings: Record<string, string | number>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('');
}

/** With definitions loaded, RabbitMQ makes no `guest`; this administrator takes its place. */
function withAdmin(definitions: BrokerDefinitions, password: string): BrokerDefinitions {
  const vhosts = definitions.vhosts ?? [{ name: '/' }];
  const everything = { configure: '.*', write: '.*', read: '.*' };
  return {
    ...definitions,
    vhosts,
    users: [...(definitions.users ?? []), { name: ADMIN, password, tags: 'administrator' }],
    permissions: [
      ...(definitions.permissions ?? []),
      ...vhosts.map(({ name }) => ({ user: ADMIN, vhost: name, ...everything })),
    ],
  };
}

async function managementAnswers(managementUrl: string): Promise<boolean> {
  try {
    return (await managementRequest(managementUrl, '/api/whoami')).ok;
  } catch {
    return false;
  }
}

/** A request to the management API; `fetch` alone refuses a URL with a name and password in it. */
export function managementRequest(managementUrl: string, path: string, init: RequestInit = {}): Promise<Response> {
  const { username, password, origin } = new URL(managementUrl);
  const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
  return fetch(`${origin}${path}`, {
    ...init,
    headers: { ...init.headers, authorization: `Basic ${credentials}` },
    signal: AbortSignal.timeout(5_000),
  });
}

function readOrCreate(file: string, make: () => string, mode = 0o600): string {
  if (!existsSync(file)) writeFileSync(file, make(), { mode });
  return readFileSync(file, 'utf8');
}
