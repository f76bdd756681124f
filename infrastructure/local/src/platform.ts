// The whole platform on this machine: servers, migrations, payment simulator, mail server and the six services, as processes of their own.
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { assertTopology, brokerDefinitions, fullTopology } from '@glasshouse/shared/event-bus';
import { connect } from 'amqplib';
import { createProcessTable, type Log, lastLines, type ProcessTable, waitUntilUp } from './processes.ts';
import { type DatabaseUrls, provisionDatabase } from './provision.ts';
import { openSecrets } from './secrets.ts';
import {
  isFree,
  type MongoServer,
  onFreePort,
  type PostgresServer,
  type RabbitMqServer,
  reservePorts,
  type SmtpSink,
  startMongo,
  startPostgres,
  startRabbitMq,
  startSmtpSink,
} from './servers/index.ts';
import {
  type Copy,
  copiesOf,
  METRICS_PORT_DISTANCE,
  platformPorts,
  type Replicas,
  type ServiceDescription,
  services,
} from './services.ts';
import {
  auditSettings,
  brokerPasswords,
  type Endpoints,
  keysSettings,
  migrationSettings,
  operatorSettings,
  paymentProviderKey,
  type Surroundings,
  serviceSettings,
} from './settings.ts';
import { createSupervisor, type SupervisedProcess } from './supervisor.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const LONGEST_LOG_BYTES = 10 * 1024 * 1024;

export interface Platform {
  gatewayUrl: string;
  /** The base URLs of each service, one for each copy. */
  urls: Record<string, string[]>;
  /** By name: a service's, `<name>-2` for its second copy, `payment-simulator`, `mail-server`, `postgres`, `mongo`, `rabbitmq`. */
  processes: Map<string, SupervisedProcess>;
  /** The embedded servers as they came up. */
  servers: {
    postgres: PostgresServer | undefined;
    rabbitmq: RabbitMqServer | undefined;
    mongo: MongoServer | undefined;
  };
  /** Superuser's and administrator's access, for tests. */
  admin: { postgresUrl: string | undefined; mongoUrl: string; rabbitmqUrl: string; managementUrl: string | undefined };
  /** RabbitMQ, to be taken away and given back; does nothing where it is not embedded. */
  broker: Omit<SupervisedProcess, 'name' | 'pid'>;
  mailDir: string;
  /** What the auditor needs. */
  auditEnv: Record<string, string>;
  /** What `user-service/src/keys.ts` needs. */
  keysEnv: Record<string, string>;
  /** What the dead-letters tool needs. */
  operatorEnv: Record<string, string>;
  /** Brings a service's database up to date, as at the start. */
  migrate(service: string): Promise<void>;
  stop(): Promise<void>;
}

export interface PlatformOptions {
  /** Where everything is kept. */
  dir: string;
  /** Where downloaded servers are kept. Default: `<dir>`. */
  cacheDir?: string;
  replicas?: Replicas;
  /** Added to every port of the services. */
  portOffset?: number;
  /** What the services inherit, and where servers of one's own are named. Default: this process's environment. */
  env?: NodeJS.ProcessEnv;
  log: Log;
  processes?: ProcessTable;
  /** Whether a process that ends by itself is started again. */
  restart?: boolean;
  /** The same of what runs our own code: the services and the payment simulator. Default: as `restart`. */
  restartServices?: boolean;
  /** Gives up a start that is under way. */
  signal?: AbortSignal;
  fsync?: boolean;
  /** Whether the folder is a copy of one that `preparePlatform` has made: nothing is migrated then. */
  isPrepared?: boolean;
  /** Has the last word on what a copy is told, each time it starts: to put something between it and its servers, say. */
  adjust?: (copy: Copy, settings: NodeJS.ProcessEnv) => Promise<NodeJS.ProcessEnv>;
}

/**
 * Starts the platform and returns when every service is ready. Where something can't start, what has been started is stopped again.
 * @throws with the last lines of the log of what did not come up
 */
export const startPlatform = (options: PlatformOptions): Promise<Platform> => createRunner(options).start();

/** Makes the databases and what is in them at first, and stops: a platform can begin in a copy of the folder (`isPrepared`). */
export const preparePlatform = (options: PlatformOptions): Promise<void> => createRunner(options).prepare();

function createRunner(options: PlatformOptions) {
  const { replicas = 1, portOffset = 0, log, restart = true, fsync = true, signal } = options;
  const { adjust = async (_copy, settings) => settings, isPrepared = false } = options;
  const { restartServices = restart } = options;
  const dir = resolve(options.dir);
  const cacheDir = resolve(options.cacheDir ?? dir);
  // Compiled once, a service starts in a third of the time.
  const env: NodeJS.ProcessEnv = {
    NODE_COMPILE_CACHE: join(cacheDir, 'compile-cache'),
    // As in the containers: memory of password hashes is given back, 100 MB after a few logins.
    MALLOC_MMAP_THRESHOLD_: '1048576',
    // Threads that hardly allocate share one heap: 6 MB of each service.
    MALLOC_ARENA_MAX: '1',
    ...(options.env ?? process.env),
  };
  const logs = join(dir, 'logs');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  dropLongLogs(logs);
  const ports = [...platformPorts(replicas, portOffset).keys()];
  reservePorts([...ports, ...ports.map((port) => port + METRICS_PORT_DISTANCE)]);
  const table = options.processes ?? createProcessTable(join(dir, 'state.json'));
  const secrets = openSecrets(join(dir, 'secrets.json'));
  const { processes, supervise, superviseServer, stop } = createSupervisor({ table, log, restart });
  const logFile = (name: string) => join(logs, `${name}.log`);
  const server = (name: string) => ({ dir: join(dir, name), log, processes: table, logFile: logFile(name) });

  return { start: () => unlessGivenUp(start), prepare: () => unlessGivenUp(prepare) };

  async function unlessGivenUp<T>(work: () => Promise<T>): Promise<T> {
    const giveUp = () => void stop();
    signal?.addEventListener('abort', giveUp);
    try {
      return await work();
    } catch (error) {
      await stop();
      throw signal?.aborted ? new Error('The start was given up.') : error;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  async function prepare(): Promise<void> {
    const { databases, mongo, migrated } = startData();
    await all([databases, mongo, migrated]);
    await stop();
  }

  function startData() {
    const databases = step('PostgreSQL', startDatabases);
    const mongo = step('MongoDB', startEmbeddedMongo);
    const migrated = Promise.all([databases, mongo]).then(async ([{ urls }, mongoServer]) => {
      const known = { env, secrets, replicas, portOffset, databases: urls, mongoUrl: mongoServer?.url };
      if (!isPrepared) await step('migrations and demo data', () => migrate(known));
      return known;
    });
    return { databases, mongo, migrated };
  }

  async function start(): Promise<Platform> {
    // The broker takes longest to start; migrations do not need it.
    const { databases, mongo, migrated } = startData();
    const rabbitmq = step('RabbitMQ', startBroker);
    const mail = step('mail server', startMailServer);
    const provider = step('payment provider', startPaymentProvider);
    await all([databases, mongo, migrated, rabbitmq, mail, provider]);

    const surroundings = await migrated;
    const endpoints: Endpoints = {
      rabbitmq: await rabbitmq,
      smtpUrl: (await mail).url,
      paymentProviderUrl: await provider,
    };
    const count = ports.length;
    await step(count === services.length ? 'six services' : `six services, ${count} processes`, () =>
      all(
        services.flatMap((service) =>
          copiesOf(service, replicas, portOffset).map((copy) =>
            startCopy(service, copy, serviceSettings(service, surroundings, endpoints)),
          ),
        ),
      ),
    );

    const auditEnv = auditSettings(surroundings, endpoints);
    const operatorEnv = operatorSettings(surroundings, endpoints);
    writeEnvironment(join(dir, 'audit.env'), auditEnv);
    writeEnvironment(join(dir, 'operator.env'), operatorEnv);
    writeEnvironment(join(dir, 'keys.env'), keysSettings(surroundings));
    const { server } = await databases;
    return describe(surroundings, { auditEnv, operatorEnv }, server, await rabbitmq, await mongo);
  }

  function describe(
    surroundings: Surroundings,
    told: Pick<Platform, 'auditEnv' | 'operatorEnv'>,
    postgres: PostgresServer | undefined,
    rabbitmq: RabbitMqServer | undefined,
    mongo: MongoServer | undefined,
  ): Platform {
    const urls = Object.fromEntries(
      services.map((service) => [service.name, copiesOf(service, replicas, portOffset).map(({ url }) => url)]),
    );
    const broker = processes.get('rabbitmq');
    return {
      gatewayUrl: urls['api-gateway']?.[0] ?? '',
      urls,
      processes,
      servers: { postgres, rabbitmq, mongo },
      admin: {
        postgresUrl: postgres?.url,
        mongoUrl: mongo?.url ?? env.MONGO_URL ?? '',
        rabbitmqUrl: rabbitmq?.url ?? env.RABBITMQ_URL ?? '',
        managementUrl: rabbitmq?.managementUrl ?? env.RABBITMQ_MANAGEMENT_URL,
      },
      broker: {
        stop: async () => broker?.stop(),
        kill: async () => broker?.kill(),
        start: async () => broker?.start(),
      },
      mailDir: join(dir, 'mail'),
      ...told,
      keysEnv: keysSettings(surroundings),
      async migrate(name) {
        const service = services.find((one) => one.name === name);
        if (service !== undefined) await migrateOne(service, surroundings);
      },
      stop,
    };
  }

  /** Says how long `work` took; where it fails, ends what starts beside it. */
  async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      const result = await work();
      log(`${name.padEnd(40)} ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s`);
      return result;
    } catch (error) {
      void stop();
      throw error;
    }
  }

  /** The three databases: those that the environment names as they are, the others on an embedded server. */
  async function startDatabases(): Promise<{ urls: Map<string, DatabaseUrls>; server: PostgresServer | undefined }> {
    const urls = new Map<string, DatabaseUrls>();
    let embedded: PostgresServer | undefined;
    for (const { name, postgres } of services) {
      if (postgres === undefined) continue;
      const given = env[postgres.urlSetting];
      if (given !== undefined) {
        urls.set(name, { service: given, migration: given, audit: given });
        continue;
      }
      embedded ??= await superviseServer('postgres', (before: PostgresServer | undefined) =>
        startPostgres({ ...server('postgres'), ...(before && { port: before.port }), fsync }),
      );
      urls.set(name, await provisionDatabase(embedded.url, postgres.database, postgres.role, secrets));
    }
    return { urls, server: embedded };
  }

  async function startEmbeddedMongo(): Promise<MongoServer | undefined> {
    const isGiven = services.every(({ mongo }) => mongo === undefined || (env[mongo.urlSetting] ?? env.MONGO_URL));
    if (isGiven) return undefined;
    return superviseServer('mongo', (before: MongoServer | undefined) =>
      startMongo({
        ...server('mongo'),
        cacheDir: join(cacheDir, 'mongodb-binaries'),
        ...(before && { port: before.port }),
      }),
    );
  }

  async function startBroker(): Promise<RabbitMqServer | undefined> {
    if (env.RABBITMQ_URL !== undefined) return declareTopology(env.RABBITMQ_URL);
    return superviseServer('rabbitmq', async (before: RabbitMqServer | undefined) => {
      // Where only the node has ended, its port mapper is still there.
      await before?.kill();
      return startRabbitMq({
        ...server('rabbitmq'),
        cacheDir: join(cacheDir, 'rabbitmq-dist'),
        definitions: brokerDefinitions(brokerPasswords(secrets)),
        ...(before && { ports: before.ports }),
      });
    });
  }

  function startMailServer(): Promise<SmtpSink> {
    const options = { ...server('mail-server'), dir: join(dir, 'mail') };
    return superviseServer('mail-server', (before: SmtpSink | undefined) =>
      startSmtpSink({ ...options, ...(before && { port: before.port }) }),
    );
  }

  /** Returns its URL. */
  async function startPaymentProvider(): Promise<string> {
    const name = 'payment-simulator';
    const launch = (before: { port: number } | undefined) =>
      onFreePort(before?.port, async (port) => {
        const child = await table.start({
          name,
          stage: 'provider',
          command: process.execPath,
          args: ['src/main.ts'],
          cwd: join(ROOT, 'infrastructure', name),
          env: {
            ...env,
            PORT: String(port),
            LEDGER_FILE: join(dir, 'ledger.db'),
            STRIPE_API_KEY: paymentProviderKey(secrets),
          },
          logFile: logFile(name),
          port,
        });
        await waitUntilUp(child, logFile(name), () => isReady(`http://127.0.0.1:${port}`));
        return { port, process: child, stop: () => child.stop() };
      });
    const { port: used } = await superviseServer(name, launch, restartServices);
    return `http://127.0.0.1:${used}`;
  }

  async function migrate(surroundings: Surroundings): Promise<void> {
    await all(services.map((service) => migrateOne(service, surroundings)));
  }

  async function migrateOne(service: ServiceDescription, surroundings: Surroundings): Promise<void> {
    if (service.postgres === undefined && service.mongo === undefined) return;
    const name = `${service.name}-migrate`;
    const child = await table.start({
      name,
      stage: 'service',
      command: process.execPath,
      args: ['src/migrate.ts'],
      cwd: join(ROOT, service.name),
      env: migrationSettings(service, surroundings),
      logFile: logFile(name),
    });
    const { code } = await child.exited;
    if (code !== 0) throw new Error(`${name} failed:\n${lastLines(logFile(name))}`);
    await surroundings.databases.get(service.name)?.afterMigration?.();
  }

  async function startCopy(service: ServiceDescription, copy: Copy, settings: NodeJS.ProcessEnv): Promise<void> {
    const { name, port, url } = copy;
    const usual = port + METRICS_PORT_DISTANCE;
    await onFreePort((await isFree(usual)) ? usual : undefined, async (metricsPort) => {
      if (metricsPort !== usual) log(`${name}: port ${usual} is taken, its metrics are on ${metricsPort}`);
      const launch = async () => {
        // Whoever wants no metrics (0) gets none.
        const metrics = settings.METRICS_PORT === '0' ? 0 : metricsPort;
        const env = { ...settings, PORT: String(port), METRICS_PORT: String(metrics) };
        const child = await table.start({
          name,
          stage: 'service',
          command: process.execPath,
          // As in the containers.
          args: ['--max-semi-space-size=4', 'src/main.ts'],
          cwd: join(ROOT, service.name),
          env: await adjust(copy, env),
          logFile: logFile(name),
          port,
        });
        await waitUntilUp(child, logFile(name), () => isReady(url));
        return child;
      };
      await supervise(name, launch, restartServices);
    });
  }
}

/** For the commands that work on a running platform; it tells secrets, so only its owner can read it. */
function writeEnvironment(file: string, settings: Record<string, string>): void {
  const lines = Object.entries(settings).map(([name, value]) => `${name}='${value}'\n`);
  writeFileSync(file, lines.join(''), { mode: 0o600 });
}

async function declareTopology(url: string): Promise<undefined> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  await assertTopology(channel, fullTopology());
  await connection.close();
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  await response?.body?.cancel();
  return response?.ok ?? false;
}

/** As `Promise.all`, but when it throws, nothing goes on behind the caller's back. */
async function all(work: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(work);
  await Promise.all(work);
}

/** Logs are appended to, start after start; one that has grown long begins anew. */
function dropLongLogs(folder: string): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (statSync(file).size > LONGEST_LOG_BYTES) rmSync(file);
  }
}
