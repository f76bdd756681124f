// docker-compose.yml says what the code says, and keeps its promises: who reaches whom, who knows which secret, what no container may do.
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSettings } from '@glasshouse/shared/config';
import { parse } from 'yaml';
import { z } from 'zod';
import { settings as gateway } from '../../api-gateway/src/config.ts';
import { loadConfig as loadAuditConfig } from '../../infrastructure/auditor/src/config.ts';
import { loadConfig as loadDeadLettersConfig } from '../../infrastructure/dead-letters/src/config.ts';
import { METRICS_PORT_DISTANCE, services } from '../../infrastructure/local/src/services.ts';
import { loadConfig as loadSimulatorConfig } from '../../infrastructure/payment-simulator/src/config.ts';
import { loadBrokerConfig, loadMongoConfig, loadPostgresConfig } from '../../infrastructure/provision/src/config.ts';
import {
  loadMigrationConfig as loadNotificationsMigration,
  settings as notifications,
} from '../../notification-service/src/config.ts';
import { loadMigrationConfig as loadOrdersMigration, settings as orders } from '../../order-service/src/config.ts';
import {
  loadMigrationConfig as loadPaymentsMigration,
  settings as payments,
} from '../../payment-service/src/config.ts';
import {
  loadMigrationConfig as loadProductsMigration,
  settings as products,
} from '../../product-service/src/config.ts';
import { loadMigrationConfig as loadUsersMigration, settings as users } from '../../user-service/src/config.ts';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');

/** Of the Compose format, what this file uses: https://docs.docker.com/reference/compose-file/ */
const container = z.strictObject({
  image: z.string(),
  build: z.strictObject({ context: z.literal('.'), dockerfile: z.string() }).optional(),
  pull_policy: z.string().optional(),
  command: z.array(z.string()).optional(),
  entrypoint: z.array(z.string()).optional(),
  hostname: z.string().optional(),
  user: z.string().optional(),
  profiles: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  secrets: z.array(z.string()).default([]),
  networks: z.array(z.string()).default([]),
  network_mode: z.literal('none').optional(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  tmpfs: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.string() })).default({}),
  healthcheck: z
    .object({ test: z.array(z.string()), interval: z.string(), start_period: z.string(), start_interval: z.string() })
    .optional(),
  restart: z.string().optional(),
  read_only: z.boolean(),
  cap_drop: z.array(z.string()),
  security_opt: z.array(z.string()),
  pids_limit: z.number(),
  mem_limit: z.string(),
  ulimits: z.strictObject({ nofile: z.number() }).optional(),
  shm_size: z.string().optional(),
  stop_grace_period: z.string().optional(),
  logging: z.object({ driver: z.string(), options: z.record(z.string(), z.string()) }),
  develop: z.object({ watch: z.array(z.object({ action: z.string(), path: z.string() })) }).optional(),
});
type Container = z.infer<typeof container>;

const compose = z
  .object({
    services: z.record(z.string(), container),
    networks: z.record(z.string(), z.object({ internal: z.boolean().optional() }).nullable()),
    volumes: z.record(z.string(), z.null()),
    secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
  })
  .parse(parse(read('docker-compose.yml'), { merge: true, maxAliasCount: -1 }));
const containers = Object.entries(compose.services);

const isOurs = ({ image }: Container) => image.startsWith('glasshouse/');
/** The Dockerfile of an image of ours. */
function dockerfileOf({ image }: Container): string {
  const found = containers.flatMap(([, other]) => (other.image === image ? (other.build?.dockerfile ?? []) : []));
  assert.equal(found.length, 1, `${image} is built by one service: two builds at a time can't have the same name`);
  return found[0] ?? '';
}

function find(name: string): Container {
  const found = compose.services[name];
  assert.ok(found, `${name} is missing`);
  return found;
}
/** The containers that share a network with this one. */
function reaches(name: string): string[] {
  const { networks } = find(name);
  return containers
    .filter(([other, { networks: theirs }]) => other !== name && theirs.some((network) => networks.includes(network)))
    .map(([other]) => other)
    .sort();
}
const on = (network: string) =>
  containers
    .filter(([, { networks }]) => networks.includes(network))
    .map(([name]) => name)
    .sort();

/** What a container's process would find in its environment: values as they are where nobody has set anything, secrets as the files in the repository. */
function environmentOf({ environment }: Container): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => {
      const set = value.replaceAll(/\$\{\w+:\+[^}]*\}/g, '').replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
      const secret = /^\/run\/secrets\/(.+)$/.exec(set)?.[1];
      return [name, secret === undefined ? set : join(root, compose.secrets[secret]?.file ?? 'nowhere')];
    }),
  );
}

type Loader = (env: NodeJS.ProcessEnv) => unknown;
const of =
  (settings: Record<string, z.ZodType>): Loader =>
  (env) =>
    readSettings(settings, env);
/** Set for every process; the second is for OpenTelemetry's registration. */
const forAll = ['NODE_ENV', 'OTEL_EXPORTER_OTLP_ENDPOINT'];
/** In the image, not here. */
const ofImage = {
  LEDGER_FILE: '/var/lib/ledger/ledger.db',
  BROKER_DEFINITIONS_FILE: '/var/lib/broker/definitions.json',
};

const loaders: Record<string, Loader> = {
  'api-gateway': of(gateway),
  'user-service': of(users),
  'product-service': of(products),
  'order-service': of(orders),
  'payment-service': of(payments),
  'notification-service': of(notifications),
  'users-migration': loadUsersMigration,
  'products-migration': loadProductsMigration,
  'orders-migration': loadOrdersMigration,
  'payments-migration': loadPaymentsMigration,
  'notifications-migration': loadNotificationsMigration,
  'users-roles': loadPostgresConfig,
  'orders-roles': loadPostgresConfig,
  'payments-roles': loadPostgresConfig,
  'users-rights': loadPostgresConfig,
  'orders-rights': loadPostgresConfig,
  'payments-rights': loadPostgresConfig,
  'products-roles': loadMongoConfig,
  'notifications-roles': loadMongoConfig,
  'broker-definitions': loadBrokerConfig,
  'payment-simulator': loadSimulatorConfig,
  auditor: loadAuditConfig,
  'dead-letters': loadDeadLettersConfig,
};

test('every container of ours has its settings looked at here', () => {
  const ours = containers.filter(([, it]) => isOurs(it)).map(([name]) => name);
  assert.deepEqual(ours.sort(), Object.keys(loaders).sort());
});

for (const [name, load] of Object.entries(loaders)) {
  test(`${name}: has every setting that it needs, and none that it does not know`, () => {
    const env = environmentOf(find(name));
    load({ ...ofImage, ...env });
    // What it knows it would also take from a file.
    for (const setting of Object.keys(env).filter((one) => !forAll.includes(one))) {
      const bare = setting.replace(/_FILE$/, '');
      assert.throws(
        () => load({ ...ofImage, ...env, [setting]: undefined, [`${bare}_FILE`]: '/dev/null/none' }),
        new RegExp(`^ {2}${bare}_FILE: `, 'm'),
        `${setting} is a setting of ${name}`,
      );
    }
  });

  test(`${name}: its demo secrets are refused in production`, () => {
    const container = find(name);
    if (container.secrets.length === 0) return;
    assert.throws(
      () => load({ ...ofImage, ...environmentOf(container), NODE_ENV: 'production', SEED_DEMO_DATA: 'false' }),
      /is a demo value/,
    );
  });
}

test('each secret is a file that is marked as a demo, known to those who read it and to nobody else', () => {
  const files = globSync('infrastructure/compose/secrets/*', { cwd: root }).sort();
  assert.deepEqual(
    Object.values(compose.secrets)
      .map(({ file }) => file)
      .sort(),
    files,
  );
  for (const file of files) assert.match(read(file), /demo-/, file);
  for (const [name, { environment, secrets }] of containers) {
    const named = Object.values(environment).flatMap((value) => /^\/run\/secrets\/(.+)$/.exec(value)?.[1] ?? []);
    assert.deepEqual(named.sort(), secrets.toSorted(), name);
    for (const value of Object.values(environment)) assert.doesNotMatch(value, /demo-|:\/\/[^/]*:[^/]*@/, name);
  }
});

for (const { name, port, urlSetting } of services) {
  test(`${name}: is where the others look for it, on its own port`, () => {
    assert.match(read(`${name}/Dockerfile`), new RegExp(`\\bPORT=${port}\\b`));
    assert.equal(find(name).environment.PORT, undefined);
    for (const [other, { environment }] of containers) {
      const told = environment[urlSetting];
      if (told === undefined) continue;
      assert.equal(told, `http://${name}:${port}`, other);
      assert.ok(reaches(other).includes(name), `${other} reaches ${name}`);
    }
    assert.match(find(name).healthcheck?.test.join(' ') ?? '', /\/ready`/);
  });

  test(`${name}: Prometheus looks for it where it serves its metrics`, () => {
    const target = `names: [${name}], type: A, port: ${port + METRICS_PORT_DISTANCE},`;
    assert.ok(read('infrastructure/compose/prometheus.yml').includes(target), target);
  });

  test(`${name}: can be scaled and worked on`, () => {
    const { ports, develop } = find(name);
    if (name !== 'api-gateway') assert.deepEqual(ports, []);
    const paths = develop?.watch.map(({ path }) => path) ?? [];
    assert.deepEqual(paths, [`${name}/src`, 'shared/src', 'package-lock.json']);
    for (const path of paths) assert.ok(existsSync(join(root, path)), path);
  });
}

test('the gateway is the only application that is published, and everything else that is, is on this machine only', () => {
  const published = containers.filter(([, { ports }]) => ports.length > 0);
  assert.deepEqual(published.map(([name]) => name).sort(), [
    'api-gateway',
    'grafana',
    'jaeger',
    'mailpit',
    'prometheus',
  ]);
  for (const [name, { ports }] of published) {
    if (name === 'api-gateway') assert.match(ports.join(), /^\$\{GATEWAY_PORT:-8080\}:8080$/);
    else for (const port of ports) assert.match(port, /^127\.0\.0\.1:/, name);
  }
});

const databases: Record<string, { service: string; prepares: string[] }> = {
  'users-postgres': { service: 'user-service', prepares: ['users-migration', 'users-rights', 'users-roles'] },
  'orders-postgres': { service: 'order-service', prepares: ['orders-migration', 'orders-rights', 'orders-roles'] },
  'payments-postgres': {
    service: 'payment-service',
    prepares: ['payments-migration', 'payments-rights', 'payments-roles'],
  },
  'products-mongo': { service: 'product-service', prepares: ['products-migration', 'products-roles'] },
  'notifications-mongo': {
    service: 'notification-service',
    prepares: ['notifications-migration', 'notifications-roles'],
  },
};

for (const [name, { service, prepares }] of Object.entries(databases)) {
  test(`${name}: is reached by its service, by what prepares it and by the auditor, from no other network`, () => {
    assert.deepEqual(reaches(name), [...prepares, service, 'auditor'].sort());
    const [network, ...others] = find(name).networks;
    assert.deepEqual(others, []);
    assert.equal(compose.networks[network ?? '']?.internal, true);
  });

  test(`${service}: starts when its database is prepared, and prepared means in this order`, () => {
    const conditions = (one: string) => find(one).depends_on;
    const order = prepares.toSorted((a, b) => a.localeCompare(b));
    const [migration = '', ...rest] = order;
    const roles = rest.at(-1) ?? '';
    const rights = rest.length > 1 ? rest[0] : undefined;
    const done = { condition: 'service_completed_successfully' };
    assert.deepEqual(conditions(roles), { [name]: { condition: 'service_healthy' } });
    assert.deepEqual(conditions(migration), { [roles]: done });
    if (rights !== undefined) assert.deepEqual(conditions(rights), { [migration]: done });
    assert.deepEqual(conditions(service)[rights ?? migration], done);
  });
}

test('MongoDB starts on every kernel: it keeps no memory for each processor', () => {
  const servers = containers.filter(([, { command }]) => command?.[0] === 'mongod');
  assert.equal(servers.length, 2);
  for (const [name, { environment }] of servers) assert.equal(environment.GLIBC_TUNABLES, 'glibc.pthread.rseq=1', name);
});

test('the gateway reaches the services and its counts, and neither a database nor the broker', () => {
  const beyond = reaches('api-gateway').filter((name) => !find(name).profiles.includes('observability'));
  const names = services.map(({ name }) => name).filter((name) => name !== 'api-gateway');
  assert.deepEqual(beyond, [...names, 'redis'].sort());
});

test('the broker is reached by who publishes or consumes, and by the tools', () => {
  const names = services.filter(({ usesBroker }) => usesBroker).map(({ name }) => name);
  assert.deepEqual(on('broker'), [...names, 'rabbitmq', 'auditor', 'dead-letters'].sort());
});

test("Prometheus reads the broker's own metrics in a network that nobody else is in", () => {
  assert.deepEqual(on('broker-metrics'), ['prometheus', 'rabbitmq']);
  assert.equal(compose.networks['broker-metrics']?.internal, true);
  assert.ok(
    find('rabbitmq').volumes.includes('./infrastructure/compose/rabbitmq-plugins:/etc/rabbitmq/enabled_plugins:ro'),
  );
  assert.match(read('infrastructure/compose/rabbitmq-plugins'), /^\[.*\brabbitmq_prometheus\]\.$/m);
  assert.match(read('infrastructure/compose/prometheus.yml'), /'rabbitmq:15692'/);
});

test('the audit and the dead letters are tools that do not start with the rest', () => {
  for (const name of ['auditor', 'dead-letters']) assert.deepEqual(find(name).profiles, ['tools']);
});

for (const [name, it] of containers) {
  test(`${name}: may do nothing that it does not need`, () => {
    assert.equal(it.read_only, true);
    assert.deepEqual(it.cap_drop, ['ALL']);
    assert.deepEqual(it.security_opt, ['no-new-privileges:true']);
    assert.match(it.mem_limit, /^\d+m$/);
    assert.ok(it.pids_limit > 0);
    assert.deepEqual(it.logging, { driver: 'json-file', options: { 'max-size': '10m', 'max-file': '3' } });
    if (isOurs(it)) assert.match(read(dockerfileOf(it)), /^USER [1-9]/m);
    // The log files of the containers are root's.
    else assert.match(it.user ?? 'none', name === 'otel-collector' ? /^0:0$/ : /^[1-9]\d*:\d+$/);
    assert.equal(it.networks.length > 0, it.network_mode === undefined);
  });

  test(`${name}: its image is made here, or has a tag that names a version`, () => {
    if (isOurs(it)) {
      assert.match(it.image, /^glasshouse\/[a-z-]+$/);
      assert.ok(dockerfileOf(it).endsWith(`${it.image.split('/')[1]}/Dockerfile`), dockerfileOf(it));
      assert.equal(it.pull_policy, 'never', 'no registry is asked for it');
    } else assert.match(it.image, /:v?\d/);
  });

  test(`${name}: what runs on says that it is well, and starts again; what prepares something is tried again`, () => {
    const isTool = it.profiles.includes('tools');
    const isWaitedFor = containers.some(
      ([, { depends_on }]) => depends_on[name]?.condition === 'service_completed_successfully',
    );
    if (isTool) assert.equal(it.restart, 'no');
    else if (isWaitedFor) assert.equal(it.restart, 'on-failure:5');
    else assert.equal(it.restart, 'unless-stopped');
    // What only watches comes without a tool for it in its image.
    if (it.restart === 'unless-stopped' && !it.profiles.includes('observability')) assert.ok(it.healthcheck, name);
  });
}

test('data that is to stay lies in a named volume, and files come from the repository', () => {
  for (const [name, { volumes }] of containers)
    for (const volume of volumes) {
      const source = volume.split(':')[0] ?? '';
      if (source === '/var/lib/docker/containers') assert.equal(name, 'otel-collector');
      else if (source.startsWith('./')) assert.ok(existsSync(join(root, source)) && volume.endsWith(':ro'), volume);
      else assert.ok(source in compose.volumes, volume);
    }
});
