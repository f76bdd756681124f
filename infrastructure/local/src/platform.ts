// The whole platform on this machine: servers, migrations, payment simulator, mail sink and the six services, as processes of their own.
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { assertTopology, brokerDefinitions, fullTopology } from '@glasshouse/shared/event-bus';
import { connect } from 'amqplib';
import {
  createProcessTable,
  type Log,
  lastLines,
  type ManagedProcess,
  type ProcessTable,
  waitUntilUp,
} from './processes.ts';
import { type DatabaseUrls, provisionDatabase } from './provision.ts';
import { openSecrets, type Secrets } from './secrets.ts';
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

const ROOT = resolve(import.meta.dirname, '../../..');
const SHORTEST_RESTART_PAUSE_MS = 1_000;
const LONGEST_RESTART_PAUSE_MS = 30_000;
/** A process that has run for this long before it ended is started again without a longer pause. */
const STEADY_AFTER_MS = 60_000;
/** The services' own default for METRICS_PORT, from their port on. */
const METRICS_PORT_DISTANCE = 6_000;
const LONGEST_LOG_BYTES = 10 * 1024 * 1024;

interface ServiceDescription {
  name: string;
  port: number;
  /** The setting by which others find it. */
  urlSetting: string;
  postgres?: { database: string; role: string; urlSetting: string };
  mongo?: { database: string; urlSetting: string };
  isPublisherOrConsumer: boolean;
}

export const services: readonly ServiceDescription[] = [
  {
    name: 'user-service',
    port: 3001,
    urlSetting: 'USER_SERVICE_URL',
    postgres: { database: 'users', role: 'user_service', urlSetting: 'USERS_DATABASE_URL' },
    isPublisherOrConsumer: true,
  },
  {
    name: 'product-service',
    port: 3002,
    urlSetting: 'PRODUCT_SERVICE_URL',
    mongo: { database: 'products', urlSetting: 'PRODUCTS_MONGO_URL' },
    isPublisherOrConsumer: true,
  },
  {
    name: 'order-service',
    port: 3003,
    urlSetting: 'ORDER_SERVICE_URL',
    postgres: { database: 'orders', role: 'order_service', urlSetting: 'ORDERS_DATABASE_URL' },
    isPublisherOrConsumer: true,
  },
  {
    name: 'payment-service',
    port: 3004,
    urlSetting: 'PAYMENT_SERVICE_URL',
    postgres: { database: 'payments', role: 'payment_service', urlSetting: 'PAYMENTS_DATABASE_URL' },
    isPublisherOrConsumer: true,
  },
  {
    name: 'notification-service',
    port: 3005,
    urlSetting: 'NOTIFICATION_SERVICE_URL',
    mongo: { database: 'notifications', urlSetting: 'NOTIFICATIONS_MONGO_URL' },
    isPublisherOrConsumer: true,
  },
  { name: 'api-gateway', port: 8080, urlSetting: 'GATEWAY_URL', isPublisherOrConsumer: false },
];

const SIMULATOR = 'payment-simulator';

/** One process of the platform, which can be ended and started again. It keeps its port. */
export interface PlatformProcess {
  name: string;
  pid(): number | undefined;
  /** Asks it to end; returns when it is gone. It stays gone until `start`. */
  stop(): Promise<void>;
  /** SIGKILL; returns when it is gone. It stays gone until `start`. */
  kill(): Promise<void>;
  /** Starts it again; returns when it is ready. */
  start(): Promise<void>;
}

export interface Platform {
  gatewayUrl: string;
  /** The base URLs of each service, one for each copy. */
  urls: Record<string, string[]>;
  /** By name: a service's, `<name>-2` for its second copy, `payment-simulator`, `mail-server`, `postgres`, `mongo`, `rabbitmq`. */
  processes: Map<string, PlatformProcess>;
  servers: {
    postgres: PostgresServer | undefined;
    rabbitmq: RabbitMqServer | undefined;
    mongo: MongoServer | undefined;
  };
  /** Superuser's and administrator's access, for tests. */
  admin: { postgresUrl: string | undefined; mongoUrl: string; rabbitmqUrl: string; managementUrl: string | undefined };
  /** RabbitMQ, to be taken away and given back; does nothing where it is not embedded. */
  broker: Omit<PlatformProcess, 'name' | 'pid'>;
  mailDir: string;
  /** What the auditor needs. */
  auditEnv: Record<string, string>;
  stop(): Promise<void>;
}

export interface PlatformOptions {
  /** Where everything is kept. */
  dir: string;
  /** Where downloaded servers are kept. Default: `<dir>`. */
  cacheDir?: string;
  replicas?: number;
  /** Added to every port of the platform. */
  portOffset?: number;
  /** What the services inherit, and where servers of one's own are named. Default: this process's environment. */
  env?: NodeJS.ProcessEnv;
  log: Log;
  processes?: ProcessTable;
  /** Whether a process that ends by itself is started again. */
  restart?: boolean;
  /** Gives up a start that is under way. */
  signal?: AbortSignal;
  fsync?: boolean;
}

/** The ports that the platform itself will listen on, and who does. */
export function platformPorts(replicas = 1, portOffset = 0): Map<number, string> {
  const ports = new Map<number, string>();
  for (const { name, port } of services)
    for (let copy = 0; copy < replicas; copy += 1)
      ports.set(port + portOffset + 100 * copy, copy === 0 ? name : `${name}-${copy + 1}`);
  return ports;
}

function withDatabase(mongoUrl: string, database: string): string {
  const url = new URL(mongoUrl);
  if (url.pathname === '' || url.pathname === '/') url.pathname = database;
  return url.href;
}

/** What a supervised process is started by: returns when it is ready. */
type Launch = () => Promise<Pick<ManagedProcess, 'pid' | 'running' | 'exited' | 'stop' | 'kill'>>;

/**
 * Starts the platform and returns when every service is ready. Where something can't start, what has been started is stopped again.
 * @throws with the last lines of the log of what did not come up
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { replicas = 1, portOffset = 0, env = process.env, log, restart = true, fsync = true, signal } = options;
  const dir = resolve(options.dir);
  const cacheDir = resolve(options.cacheDir ?? dir);
  const logs = join(dir, 'logs');
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  dropLongLogs(logs);
  const ports = [...platformPorts(replicas, portOffset).keys()];
  reservePorts([...ports, ...ports.map((port) => port + METRICS_PORT_DISTANCE)]);
  const table = options.processes ?? createProcessTable(join(dir, 'state.json'));
  const secrets = openSecrets(join(dir, 'secrets.json'));
  const logFile = (name: string) => join(logs, `${name}.log`);
  const processes = new Map<string, PlatformProcess>();
  let stopped: Promise<void> | undefined;

  const stop = () => {
    stopped ??= (async () => {
      // Services first, what they call and write to afterwards.
      await table.stopAll(['service', 'provider']);
      await Promise.allSettled([...processes.values()].map((process) => process.stop()));
      await table.stopAll();
    })();
    return stopped;
  };

  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    try {
      const result = await work();
      log(`${name.padEnd(40)} ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s`);
      return result;
    } catch (error) {
      // What starts beside it need not be waited for.
      void stop();
      throw error;
    }
  };

  /** A process that is started again when it ends by itself, unless somebody has ended it. */
  const supervise = async (name: string, launch: Launch): Promise<void> => {
    let child: Awaited<ReturnType<Launch>> | undefined;
    let isWanted = false;
    let pauseMs = SHORTEST_RESTART_PAUSE_MS;
    const start = async () => {
      isWanted = true;
      const started = await launch();
      child = started;
      if (!isWanted) return started.stop();
      const startedAt = performance.now();
      void started.exited.then(({ code, signal: ending }) => {
        if (!restart || !isWanted || stopped !== undefined || child !== started) return;
        log(`${name} ended by itself (${ending ?? `exit code ${code}`}); it is started again`);
        if (performance.now() - startedAt > STEADY_AFTER_MS) pauseMs = SHORTEST_RESTART_PAUSE_MS;
        void startAgain();
      });
    };
    const startAgain = async () => {
      for (;;) {
        await delay(pauseMs, undefined, { ref: false });
        pauseMs = Math.min(LONGEST_RESTART_PAUSE_MS, pauseMs * 2);
        if (!isWanted || stopped !== undefined) return;
        try {
          return await start();
        } catch (error) {
          if (stopped === undefined) log(`${name} can't be started: ${(error as Error).message.split('\n').at(-1)}`);
        }
      }
    };
    processes.set(name, {
      name,
      pid: () => (child?.running() ? child.pid : undefined),
      async stop() {
        isWanted = false;
        await child?.stop();
      },
      async kill() {
        isWanted = false;
        await child?.kill();
      },
      start,
    });
    await start();
  };

  const giveUp = () => void stop();
  signal?.addEventListener('abort', giveUp);
  try {
    return await build();
  } catch (error) {
    await stop();
    throw signal?.aborted ? new Error('The start was given up.') : error;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }

  async function build(): Promise<Platform> {
    const usersOfTheBroker = Object.fromEntries([
      ...services
        .filter((service) => service.isPublisherOrConsumer)
        .map(({ name }) => [name, secrets(`rabbitmq ${name}`)]),
      ['monitoring', secrets('rabbitmq monitoring')],
    ]);
    const stripeKey = `sk_test_${secrets('stripe')}`;

    const [databases, mongo, rabbitmq, smtp, simulatorUrl] = await all([
      step('PostgreSQL', () => startDatabases(secrets)),
      step('MongoDB', async () => {
        if (
          env.MONGO_URL !== undefined ||
          (env.PRODUCTS_MONGO_URL !== undefined && env.NOTIFICATIONS_MONGO_URL !== undefined)
        )
          return undefined;
        return superviseServer('mongo', (before: MongoServer | undefined) =>
          startMongo({
            dir: join(dir, 'mongo'),
            cacheDir: join(cacheDir, 'mongodb-binaries'),
            ...(before && { port: before.port }),
            log,
            processes: table,
            logFile: logFile('mongo'),
          }),
        );
      }),
      step('RabbitMQ', async () => {
        if (env.RABBITMQ_URL !== undefined) return declareTopology(env.RABBITMQ_URL);
        return superviseServer('rabbitmq', async (before: RabbitMqServer | undefined) => {
          // Where only the node has ended, its port mapper is still there.
          await before?.kill();
          return startRabbitMq({
            dir: join(dir, 'rabbitmq'),
            cacheDir: join(cacheDir, 'rabbitmq-dist'),
            definitions: brokerDefinitions(usersOfTheBroker),
            ...(before && { ports: before.ports }),
            log,
            processes: table,
            logFile: logFile('rabbitmq'),
          });
        });
      }),
      step('mail server', () =>
        superviseServer('mail-server', (before: SmtpSink | undefined) =>
          startSmtpSink({
            dir: join(dir, 'mail'),
            ...(before && { port: before.port }),
            log,
            processes: table,
            logFile: logFile('mail-server'),
          }),
        ),
      ),
      step('payment provider', async () => {
        const server = await superviseServer(SIMULATOR, (before: { port: number } | undefined) =>
          onFreePort(before?.port, async (port) => {
            const child = await table.start({
              name: SIMULATOR,
              stage: 'provider',
              command: process.execPath,
              args: [join(ROOT, 'infrastructure/payment-simulator/src/main.ts')],
              env: {
                ...env,
                PORT: String(port),
                LEDGER_FILE: join(dir, 'ledger.db'),
                STRIPE_API_KEY: stripeKey,
              },
              logFile: logFile(SIMULATOR),
              port,
            });
            await waitUntilUp(child, logFile(SIMULATOR), () => isReady(`http://127.0.0.1:${port}`));
            return { port, process: child, stop: () => child.stop() };
          }),
        );
        return `http://127.0.0.1:${server.port}`;
      }),
    ]);

    const urls: Record<string, string[]> = {};
    for (const { name, port } of services)
      urls[name] = Array.from({ length: replicas }, (_, copy) => `http://127.0.0.1:${port + portOffset + 100 * copy}`);
    const urlSettings = Object.fromEntries(
      services.map(({ name, urlSetting }) => [urlSetting, (urls[name] ?? []).join(',')]),
    );
    const mongoUrl = (service: ServiceDescription): string | undefined =>
      service.mongo &&
      withDatabase(env[service.mongo.urlSetting] ?? env.MONGO_URL ?? mongo?.url ?? '', service.mongo.database);
    const brokerUrl = (service: ServiceDescription): string => {
      if (env.RABBITMQ_URL !== undefined || rabbitmq === undefined) return env.RABBITMQ_URL ?? '';
      const url = new URL(rabbitmq.url);
      url.username = service.name;
      url.password = usersOfTheBroker[service.name] ?? '';
      return url.href;
    };
    /** What each service is told beside what it inherits. */
    const extra: Record<string, Record<string, string>> = {
      'user-service': {
        KEY_ENCRYPTION_KEY: Buffer.from(secrets('key encryption'), 'base64url').toString('base64'),
        SEED_DEMO_DATA: 'true',
      },
      'product-service': { SEED_DEMO_DATA: 'true' },
      'payment-service': {
        STRIPE_API_KEY: env.STRIPE_API_URL === undefined ? stripeKey : (env.STRIPE_API_KEY ?? ''),
        STRIPE_API_URL: env.STRIPE_API_URL ?? simulatorUrl,
      },
      'notification-service': { SMTP_URL: env.SMTP_URL ?? smtp.url },
    };
    const settingsOf = (service: ServiceDescription): NodeJS.ProcessEnv => {
      const { MONGO_URL: _mongo, RABBITMQ_URL: _rabbitmq, ...inherited } = env;
      const database = service.postgres && databases.get(service.name);
      const mongodb = mongoUrl(service);
      return {
        ...inherited,
        ...urlSettings,
        NODE_ENV: env.NODE_ENV ?? 'development',
        ...(service.isPublisherOrConsumer && { RABBITMQ_URL: brokerUrl(service) }),
        ...(database && { DATABASE_URL: database.service }),
        ...(mongodb && { MONGO_URL: mongodb }),
        ...extra[service.name],
      };
    };

    await step('migrations and demo data', () =>
      all(
        services
          .filter((service) => service.postgres ?? service.mongo)
          .map(async (service) => {
            const name = `${service.name}-migrate`;
            const migration = databases.get(service.name)?.migration;
            const child = await table.start({
              name,
              stage: 'service',
              command: process.execPath,
              args: ['src/migrate.ts'],
              cwd: join(ROOT, service.name),
              env: { ...settingsOf(service), ...(migration && { MIGRATION_DATABASE_URL: migration }) },
              logFile: logFile(name),
            });
            const { code } = await child.exited;
            if (code !== 0) throw new Error(`${name} failed:\n${lastLines(logFile(name))}`);
          }),
      ),
    );

    const telemetry = env.OTEL_EXPORTER_OTLP_ENDPOINT ? ['--import', '@glasshouse/shared/telemetry/register'] : [];
    await step(replicas === 1 ? 'six services' : `six services, ${replicas} of each`, () =>
      all(
        services.flatMap((service) =>
          (urls[service.name] ?? []).map(async (url, copy) => {
            const name = copy === 0 ? service.name : `${service.name}-${copy + 1}`;
            const port = Number(new URL(url).port);
            const metricsPort = port + METRICS_PORT_DISTANCE;
            return onFreePort((await isFree(metricsPort)) ? metricsPort : undefined, async (metrics) => {
              if (metrics !== metricsPort) log(`${name}: port ${metricsPort} is taken, its metrics are on ${metrics}`);
              await supervise(name, async () => {
                const child = await table.start({
                  name,
                  stage: 'service',
                  command: process.execPath,
                  args: [...telemetry, 'src/main.ts'],
                  cwd: join(ROOT, service.name),
                  env: { ...settingsOf(service), PORT: String(port), METRICS_PORT: String(metrics) },
                  logFile: logFile(name),
                  port,
                });
                await waitUntilUp(child, logFile(name), () => isReady(url));
                return child;
              });
            });
          }),
        ),
      ),
    );

    const ledger = new URL(simulatorUrl);
    ledger.password = stripeKey;
    const monitoring = rabbitmq === undefined ? undefined : new URL(rabbitmq.managementUrl);
    if (monitoring !== undefined) {
      monitoring.username = 'monitoring';
      monitoring.password = usersOfTheBroker.monitoring ?? '';
    }
    const auditEnv: Record<string, string> = {
      AUDIT_LEDGER_URL: ledger.href,
      AUDIT_RABBITMQ_MANAGEMENT_URL: monitoring?.href ?? env.RABBITMQ_MANAGEMENT_URL ?? '',
      // What `startRabbitMq` sets.
      AUDIT_QUEUE_COUNTS_AGE_S: monitoring === undefined ? '5' : '1',
      ...(env.SAGA_TIMEOUT_S && { SAGA_TIMEOUT_S: env.SAGA_TIMEOUT_S }),
    };
    for (const service of services) {
      const url = databases.get(service.name)?.audit ?? mongoUrl(service);
      if (url !== undefined) auditEnv[`AUDIT_${service.urlSetting.replace('_URL', '')}_DATABASE_URL`] = url;
    }
    const lines = Object.entries(auditEnv).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(join(dir, 'audit.env'), lines.join(''), { mode: 0o600 });

    return {
      gatewayUrl: urls['api-gateway']?.[0] ?? '',
      urls,
      processes,
      servers: { postgres: databases.server, rabbitmq, mongo },
      admin: {
        postgresUrl: databases.server?.url,
        mongoUrl: mongo?.url ?? env.MONGO_URL ?? '',
        rabbitmqUrl: rabbitmq?.url ?? env.RABBITMQ_URL ?? '',
        managementUrl: rabbitmq?.managementUrl ?? env.RABBITMQ_MANAGEMENT_URL,
      },
      broker: {
        stop: async () => processes.get('rabbitmq')?.stop(),
        kill: async () => processes.get('rabbitmq')?.kill(),
        start: async () => processes.get('rabbitmq')?.start(),
      },
      mailDir: join(dir, 'mail'),
      auditEnv,
      stop,
    };
  }

  /** Supervises a server and returns it as it came up first; `launch` is given the one before, whose ports it takes again. */
  async function superviseServer<
    T extends { process: ManagedProcess; stop(): Promise<void>; kill?: () => Promise<void> },
  >(name: string, launch: (before: T | undefined) => Promise<T>): Promise<T> {
    let server: T | undefined;
    await supervise(name, async () => {
      const started = await launch(server);
      server = started;
      return { ...started.process, stop: () => started.stop(), kill: started.kill ?? started.process.kill };
    });
    if (server === undefined) throw new Error(`${name} was not started.`);
    return server;
  }

  /** The three databases: those that the environment names as they are, the others on an embedded server. */
  async function startDatabases(known: Secrets): Promise<Map<string, DatabaseUrls> & { server?: PostgresServer }> {
    const databases: Map<string, DatabaseUrls> & { server?: PostgresServer } = new Map<string, DatabaseUrls>();
    for (const { name, postgres } of services) {
      if (postgres === undefined) continue;
      const given = env[postgres.urlSetting];
      if (given !== undefined) {
        databases.set(name, { service: given, migration: given, audit: given });
        continue;
      }
      if (databases.server === undefined) {
        databases.server = await superviseServer('postgres', (before: PostgresServer | undefined) =>
          startPostgres({
            dir: join(dir, 'postgres'),
            ...(before && { port: before.port }),
            log,
            processes: table,
            logFile: logFile('postgres'),
            fsync,
          }),
        );
      }
      databases.set(name, await provisionDatabase(databases.server.url, postgres.database, postgres.role, known));
    }
    return databases;
  }
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
async function all<T extends readonly unknown[] | []>(work: T): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Logs are appended to, start after start; one that has grown long begins anew. */
function dropLongLogs(folder: string): void {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (statSync(file).size > LONGEST_LOG_BYTES) rmSync(file);
  }
}
