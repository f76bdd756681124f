// The whole platform on this machine: servers, migrations, payment simulator, mail sink and the six services, as processes of their own.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { assertTopology, brokerDefinitions, fullTopology } from '@glasshouse/shared/event-bus';
import { connect } from 'amqplib';
import { createProcessTable, type Log, lastLines, type ManagedProcess, type ProcessTable } from './processes.ts';
import { type DatabaseUrls, provisionDatabase } from './provision.ts';
import { openSecrets, type Secrets } from './secrets.ts';
import {
  freePort,
  type MongoServer,
  type PostgresServer,
  type RabbitMqServer,
  startMongo,
  startPostgres,
  startRabbitMq,
  startSmtpSink,
} from './servers/index.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const READY_LIMIT_MS = 60_000;
const LONGEST_RESTART_PAUSE_MS = 30_000;

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

/** One process of the platform, which can be ended and started again. */
export interface PlatformProcess {
  name: string;
  url: string;
  pid(): number | undefined;
  /** SIGTERM; returns when it is gone. It stays gone until `start`. */
  stop(): Promise<void>;
  /** SIGKILL; returns when it is gone. It stays gone until `start`. */
  kill(): Promise<void>;
  /** Starts it again; returns when it is ready. */
  start(): Promise<void>;
}

/** RabbitMQ, to be taken away and given back on the same ports. Only where it is embedded. */
export interface BrokerControl {
  stop(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
}

export interface Platform {
  gatewayUrl: string;
  /** The base URLs of each service, one for each copy. */
  urls: Record<string, string[]>;
  /** By name: a service's, `<name>-2` for its second copy, `payment-simulator`. */
  processes: Map<string, PlatformProcess>;
  servers: {
    postgres: PostgresServer | undefined;
    rabbitmq: RabbitMqServer | undefined;
    mongo: MongoServer | undefined;
  };
  /** Superuser's and administrator's access, for tests. */
  admin: { postgresUrl: string | undefined; mongoUrl: string; rabbitmqUrl: string; managementUrl: string | undefined };
  broker: BrokerControl;
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
  /** Whether a service that ends by itself is started again. */
  restart?: boolean;
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

/**
 * Starts the platform and returns when every service is ready. Where something can't start, what has been started is stopped again.
 * @throws with the last lines of the log of what did not come up
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { replicas = 1, portOffset = 0, env = process.env, log, restart = true, fsync = true } = options;
  const dir = resolve(options.dir);
  const cacheDir = resolve(options.cacheDir ?? dir);
  mkdirSync(join(dir, 'logs'), { recursive: true, mode: 0o700 });
  const table = options.processes ?? createProcessTable(join(dir, 'state.json'));
  const secrets = openSecrets(join(dir, 'secrets.json'));
  const logFile = (name: string) => join(dir, 'logs', `${name}.log`);
  const stops: (() => Promise<void>)[] = [];
  let stopping = false;

  const stop = async () => {
    stopping = true;
    // Services first, what they write to afterwards.
    await Promise.all(platformProcesses.map((process) => process.stop()));
    for (const end of stops.splice(0).reverse()) await end();
  };
  const platformProcesses: PlatformProcess[] = [];

  const step = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    const result = await work();
    log(`${name.padEnd(40)} ${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s`);
    return result;
  };

  /** A process that is started again when it ends by itself, unless somebody has ended it. */
  const supervise = async (
    name: string,
    url: string,
    launch: () => Promise<ManagedProcess>,
  ): Promise<PlatformProcess> => {
    let child: ManagedProcess | undefined;
    let isWanted = false;
    const start = async () => {
      isWanted = true;
      const started = await launch();
      child = started;
      void started.exited.then(async ({ code, signal }) => {
        if (!isWanted || stopping || child !== started || !restart) return;
        log(`${name} ended by itself (${signal ?? `exit code ${code}`}); it is started again`);
        for (let pause = 1_000; isWanted && !stopping; pause = Math.min(LONGEST_RESTART_PAUSE_MS, pause * 2)) {
          await delay(pause);
          if (!isWanted || stopping) return;
          try {
            return await start();
          } catch (error) {
            log(`${name} can't be started: ${(error as Error).message.split('\n').at(-1)}`);
          }
        }
      });
      await whenReady(name, url, started, logFile(name));
    };
    const end = (how: (running: ManagedProcess) => Promise<void>) => async () => {
      isWanted = false;
      if (child !== undefined) await how(child);
    };
    const managed: PlatformProcess = {
      name,
      url,
      pid: () => (child?.running() ? child.pid : undefined),
      stop: end((running) => running.stop(15_000)),
      kill: end((running) => running.kill()),
      start,
    };
    platformProcesses.push(managed);
    await start();
    return managed;
  };

  try {
    return await build();
  } catch (error) {
    await stop();
    throw error;
  }

  async function build(): Promise<Platform> {
    const usersOfTheBroker = Object.fromEntries([
      ...services
        .filter((service) => service.isPublisherOrConsumer)
        .map(({ name }) => [name, secrets(`rabbitmq ${name}`)]),
      ['monitoring', secrets('rabbitmq monitoring')],
    ]);
    const definitions = brokerDefinitions(usersOfTheBroker);
    let rabbitmq: RabbitMqServer | undefined;
    const startBroker = async () => {
      rabbitmq = await startRabbitMq({
        dir: join(dir, 'rabbitmq'),
        cacheDir: join(cacheDir, 'rabbitmq-dist'),
        definitions,
        ...(rabbitmq === undefined ? {} : { ports: rabbitmq.ports }),
        log,
        processes: table,
        logFile: logFile('rabbitmq'),
      });
    };
    const stripeKey = `sk_test_${secrets('stripe')}`;
    const simulatorPort = await freePort();
    const simulatorUrl = `http://127.0.0.1:${simulatorPort}`;

    const [databases, mongo, , smtp] = await Promise.all([
      step('PostgreSQL', () => startDatabases(secrets)),
      step('MongoDB', async () => {
        if (
          env.MONGO_URL !== undefined ||
          (env.PRODUCTS_MONGO_URL !== undefined && env.NOTIFICATIONS_MONGO_URL !== undefined)
        )
          return undefined;
        const server = await startMongo({
          dir: join(dir, 'mongo'),
          cacheDir: join(cacheDir, 'mongodb-binaries'),
          log,
          processes: table,
          logFile: logFile('mongo'),
        });
        stops.push(() => server.stop());
        return server;
      }),
      step('RabbitMQ', async () => {
        if (env.RABBITMQ_URL !== undefined) return declareTopology(env.RABBITMQ_URL);
        await startBroker();
        stops.push(async () => rabbitmq?.stop());
      }),
      step('mail server', async () => {
        const sink = await startSmtpSink({
          dir: join(dir, 'mail'),
          log,
          processes: table,
          logFile: logFile('smtp-sink'),
        });
        stops.push(() => sink.stop());
        return sink;
      }),
      step('payment provider', () =>
        supervise(SIMULATOR, simulatorUrl, () =>
          table.start({
            name: SIMULATOR,
            command: process.execPath,
            args: [join(ROOT, 'infrastructure/payment-simulator/src/main.ts')],
            env: {
              ...env,
              PORT: String(simulatorPort),
              LEDGER_FILE: join(dir, 'ledger.db'),
              STRIPE_API_KEY: stripeKey,
            },
            logFile: logFile(SIMULATOR),
            stage: 'service',
            port: simulatorPort,
          }),
        ),
      ),
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
      Promise.all(
        services
          .filter((service) => service.postgres ?? service.mongo)
          .map(async (service) => {
            const name = `${service.name}-migrate`;
            const migration = databases.get(service.name)?.migration;
            const child = await table.start({
              name,
              command: process.execPath,
              args: ['src/migrate.ts'],
              cwd: join(ROOT, service.name),
              env: { ...settingsOf(service), ...(migration && { MIGRATION_DATABASE_URL: migration }) },
              logFile: logFile(name),
              stage: 'service',
            });
            const { code } = await child.exited;
            if (code !== 0) throw new Error(`${name} failed:\n${lastLines(logFile(name))}`);
          }),
      ),
    );

    const telemetry = env.OTEL_EXPORTER_OTLP_ENDPOINT ? ['--import', '@glasshouse/shared/telemetry/register'] : [];
    await step(replicas === 1 ? 'six services' : `six services, ${replicas} of each`, () =>
      Promise.all(
        services.flatMap((service) =>
          (urls[service.name] ?? []).map((url, copy) => {
            const name = copy === 0 ? service.name : `${service.name}-${copy + 1}`;
            const port = Number(new URL(url).port);
            return supervise(name, url, () =>
              table.start({
                name,
                command: process.execPath,
                args: [...telemetry, 'src/main.ts'],
                cwd: join(ROOT, service.name),
                env: { ...settingsOf(service), PORT: String(port), METRICS_PORT: String(port + 6_000) },
                logFile: logFile(name),
                stage: 'service',
                port,
              }),
            );
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
      processes: new Map(platformProcesses.map((process) => [process.name, process])),
      servers: { postgres: databases.server, rabbitmq, mongo },
      admin: {
        postgresUrl: databases.server?.url,
        mongoUrl: mongo?.url ?? env.MONGO_URL ?? '',
        rabbitmqUrl: rabbitmq?.url ?? env.RABBITMQ_URL ?? '',
        managementUrl: rabbitmq?.managementUrl ?? env.RABBITMQ_MANAGEMENT_URL,
      },
      broker: {
        stop: async () => rabbitmq?.stop(),
        kill: async () => rabbitmq?.kill(),
        start: startBroker,
      },
      mailDir: join(dir, 'mail'),
      auditEnv,
      stop,
    };
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
        const server = await startPostgres({
          dir: join(dir, 'postgres'),
          log,
          processes: table,
          logFile: logFile('postgres'),
          fsync,
        });
        stops.push(() => server.stop());
        databases.server = server;
      }
      databases.set(name, await provisionDatabase(databases.server.url, postgres.database, postgres.role, known));
    }
    return databases;
  }
}

async function declareTopology(url: string): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  await assertTopology(channel, fullTopology());
  await connection.close();
}

/** Waits for `GET /ready`; throws where the process ends before. */
async function whenReady(name: string, url: string, child: ManagedProcess, logFile: string): Promise<void> {
  const endsAt = performance.now() + READY_LIMIT_MS;
  while (performance.now() < endsAt) {
    if (!child.running()) throw new Error(`${name} ended while starting:\n${lastLines(logFile)}`);
    const response = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
    if (response?.ok) return;
    await delay(100);
  }
  throw new Error(`${name} was not ready after ${READY_LIMIT_MS / 1000} s:\n${lastLines(logFile)}`);
}
