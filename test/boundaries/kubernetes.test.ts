// The Kubernetes manifests agree with the schemas, with the code and with the rules that we have set ourselves. No cluster is needed.
import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { commonSettings } from '@glasshouse/shared/config';
import { createApp, createHttpServer } from '@glasshouse/shared/http';
import { quietLogger } from '@glasshouse/shared/testing';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IHorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import type { IService } from 'kubernetes-models/v1/Service';
import { parse } from 'yaml';
import type { z } from 'zod';
import * as gateway from '../../api-gateway/src/config.ts';
import * as auditor from '../../infrastructure/auditor/src/config.ts';
import { METRICS_PORT_DISTANCE } from '../../infrastructure/local/src/services.ts';
import * as simulator from '../../infrastructure/payment-simulator/src/config.ts';
import * as provision from '../../infrastructure/provision/src/config.ts';
import * as notifications from '../../notification-service/src/config.ts';
import * as orders from '../../order-service/src/config.ts';
import * as payments from '../../payment-service/src/config.ts';
import * as products from '../../product-service/src/config.ts';
import * as users from '../../user-service/src/config.ts';
import {
  allowedEdges,
  build,
  containersOf,
  environmentOf,
  kubernetesDir,
  kustomize,
  type Manifest,
  parseManifests,
  rulesFor,
  schemaErrors,
  type Workload,
  wantedEdges,
  workloadsOf,
} from '../support/manifests.ts';

const root = join(kubernetesDir, '../..');

interface ServiceCode {
  settings: Record<string, z.ZodType>;
  loadConfig(env: NodeJS.ProcessEnv): unknown;
  loadMigrationConfig?(env: NodeJS.ProcessEnv): unknown;
}
const services: Record<string, ServiceCode> = {
  'api-gateway': gateway,
  'user-service': users,
  'product-service': products,
  'order-service': orders,
  'payment-service': payments,
  'notification-service': notifications,
};

/** Settings whose defaults are right in a cluster as well. */
const leftAtTheirDefaults = new Set(
  `PORT METRICS_PORT SHUTDOWN_TIMEOUT_MS OTEL_EXPORTER_OTLP_ENDPOINT OTEL_TRACES_SAMPLER OTEL_TRACES_SAMPLER_ARG OTEL_BSP_SCHEDULE_DELAY OTEL_METRICS_EXPORTER OTEL_METRIC_EXPORT_INTERVAL
  JWT_ISSUER JWT_AUDIENCE OUTBOX_SWEEP_INTERVAL_MS CONSUMER_PREFETCH DATABASE_POOL_SIZE
  ACCESS_TOKEN_TTL_S REFRESH_TOKEN_TTL_S ARGON2_MEMORY_KIB ARGON2_PASSES ARGON2_CONCURRENCY LOGIN_FAILURES_PER_ACCOUNT LOGIN_FAILURES_PER_ADDRESS
  PRODUCT_SERVICE_TIMEOUT_MS SAGA_TIMEOUT_S MAX_PENDING_ORDERS DEADLINE_SWEEP_INTERVAL_MS DEADLINE_SETTLE_MS
  STRIPE_API_URL STRIPE_TIMEOUT_MS CHARGE_CONCURRENCY PAYMENT_SWEEP_INTERVAL_MS
  SMTP_CONNECTIONS SMTP_TIMEOUT_MS MAIL_FROM MAIL_SWEEP_INTERVAL_MS
  UPSTREAM_TIMEOUT_MS UPSTREAM_MAX_IN_FLIGHT UPSTREAM_BREAKER_RESET_MS UPSTREAM_MAX_ANSWER_BYTES OVERVIEW_PART_TIMEOUT_MS
  LAST_GOOD_MAX_BYTES LAST_GOOD_MAX_AGE_S RATE_LIMIT_PER_MINUTE AUTH_RATE_LIMIT_PER_MINUTE CORS_ORIGINS HSTS_MAX_AGE_S`.split(
    /\s+/,
  ),
);

/** What an operator might fill in for the empty values of secrets.example.yaml, and the port that it leads out to. */
const managed: Record<string, { value: string; port?: number }> = {
  DATABASE_URL: { value: 'postgres://role:word@managed.example/db?sslmode=verify-full', port: 5432 },
  MIGRATION_DATABASE_URL: { value: 'postgres://owner:word@managed.example/db?sslmode=verify-full', port: 5432 },
  MONGO_URL: { value: 'mongodb+srv://user:word@managed.example/db', port: 27017 },
  RABBITMQ_URL: { value: 'amqps://user:word@managed.example:5671/vhost', port: 5671 },
  REDIS_URL: { value: 'rediss://:word@managed.example:6379', port: 6379 },
  SMTP_URL: { value: 'smtps://user:word@managed.example:465', port: 465 },
  STRIPE_API_KEY: { value: 'sk_live_word', port: 443 },
  KEY_ENCRYPTION_KEY: { value: Buffer.alloc(32, 7).toString('base64') },
};

const read = (path: string) => readFileSync(join(kubernetesDir, path), 'utf8');
const operatorsSecrets = parseManifests(read('overlays/production/secrets.example.yaml')) as (Manifest & {
  stringData: Record<string, string>;
})[];

/** What a container's process makes of its environment. */
function load(workload: Workload, container: string, env: NodeJS.ProcessEnv): unknown {
  const code = services[workload.name];
  if (container === 'service') return code?.loadConfig(env);
  if (container === 'migrate') return code?.loadMigrationConfig?.(env);
  if (container === 'auditor') return auditor.loadConfig(env);
  if (container === 'payment-simulator') return simulator.loadConfig(env);
  if (container === 'definitions') return provision.loadBrokerConfig(env);
  if (container === 'provision' || container === 'rights')
    return env.ADMIN_MONGO_URL === undefined ? provision.loadPostgresConfig(env) : provision.loadMongoConfig(env);
  return undefined;
}

const portOf = ({ settings }: ServiceCode): unknown => settings.PORT?.parse(undefined);

/** Each connection takes two policies: one that lets it out, one that lets it in. The gateway's door is open to all. */
function assertEdges(manifests: readonly Manifest[], wanted: readonly string[]): void {
  assert.deepEqual(allowedEdges(manifests, 'Egress'), wanted);
  const inward = allowedEdges(manifests, 'Ingress').filter((edge) => !edge.endsWith(' → api-gateway:8080'));
  assert.deepEqual(inward, wanted);
}

describe('kubernetes: the files', () => {
  const files = globSync('**/*.yaml', { cwd: kubernetesDir }).sort();
  const isPart = (path: string) => path.endsWith('kustomization.yaml');
  const applied = new Set(['argocd/application.yaml', 'overlays/production/secrets.example.yaml']);

  test('each has a sentence that says what it is for', () => {
    for (const file of files) assert.match(read(file), /^# [A-Z a-z].*[.:]/, file);
  });

  test('each is used by an overlay, or applied by hand', () => {
    const used = new Set<string>(applied);
    const visit = (folder: string) => {
      const path = join(folder, 'kustomization.yaml');
      used.add(path);
      const { resources = [], components = [] } = parse(read(path)) as Record<string, string[] | undefined>;
      for (const part of [...resources, ...components]) {
        const target = relative(kubernetesDir, resolve(kubernetesDir, folder, part));
        if (part.endsWith('.yaml')) used.add(target);
        else visit(target);
      }
    };
    for (const overlay of ['overlays/local', 'overlays/production', 'overlays/monitoring']) visit(overlay);
    const isHere = (path: string) => !path.startsWith('..');
    assert.deepEqual([...used].filter(isHere).sort(), files);
  });

  test('each object is as its schema wants it', () => {
    const objects = files
      .filter((file) => !isPart(file) && !file.startsWith('argocd/'))
      .flatMap((file) => parseManifests(read(file)));
    assert.deepEqual(schemaErrors(objects), []);
  });

  test('what Argo CD keeps in place is the production overlay', () => {
    const { spec } = parse(read('argocd/application.yaml')) as { spec: { source: { path: string } } };
    assert.ok(existsSync(join(root, spec.source.path, 'kustomization.yaml')));
    assert.match(spec.source.path, /overlays\/production$/);
  });

  for (const [name, code] of Object.entries(services)) {
    const { configMapGenerator } = parse(read(`base/${name}/kustomization.yaml`)) as {
      configMapGenerator: { literals: string[] }[];
    };
    const configured = configMapGenerator.flatMap(({ literals }) =>
      literals.map((literal) => literal.split('=')[0] ?? ''),
    );
    const secret = (suffix = '') =>
      Object.keys(operatorsSecrets.find(({ metadata }) => metadata.name === `${name}${suffix}`)?.stringData ?? {});

    test(`${name}: what it needs is in its settings or among the Secrets that the operator brings, and what is there it knows`, () => {
      const given = [...configured, ...secret()];
      for (const setting of given) assert.ok(setting in code.settings, `${setting} is read by nothing`);
      for (const [setting, schema] of Object.entries(code.settings))
        assert.ok(given.includes(setting) || schema.safeParse(undefined).success, `${setting} is missing`);
    });

    if (code.loadMigrationConfig !== undefined)
      test(`${name}: its migration is told what it needs, and nothing else`, () => {
        const env = Object.fromEntries(secret('-migration').map((setting) => [setting, managed[setting]?.value]));
        assert.doesNotThrow(() => code.loadMigrationConfig?.({ NODE_ENV: 'production', ...env }));
        for (const setting of Object.keys(env))
          assert.throws(
            () => code.loadMigrationConfig?.({ ...env, [setting]: undefined }),
            `${setting} is read by nothing`,
          );
      });
  }
});

const overlays = kustomize === undefined ? [] : (['local', 'production'] as const);

test('kubernetes: both overlays can be built', {
  skip:
    kustomize === undefined &&
    'neither kubectl nor kustomize is installed: the overlays were not built, only their files were read',
}, () => {
  for (const overlay of overlays) assert.ok(build(overlay).length > 0);
});

describe('kubernetes, overlay monitoring', { skip: kustomize === undefined }, () => {
  const named = (kind: string) => build('monitoring').filter((one) => one.kind === kind);

  test('each object is as its schema wants it', () => assert.deepEqual(schemaErrors(build('monitoring')), []));

  test('it is in the one namespace that the policies of the platform let in, but for the right to see the pods there', () => {
    const [namespace] = named('Namespace');
    assert.equal(namespace?.metadata.labels?.['pod-security.kubernetes.io/enforce'], 'restricted');
    const policies = parseManifests(read('base/network-policies.yaml'));
    assert.ok(JSON.stringify(policies).includes(`{"kubernetes.io/metadata.name":"${namespace?.metadata.name}"}`));
    for (const { kind, metadata } of build('monitoring')) {
      if (kind === 'Namespace') continue;
      const isRight = kind === 'Role' || kind === 'RoleBinding';
      const wanted: string | undefined = isRight ? 'glasshouse' : namespace?.metadata.name;
      assert.equal((metadata as { namespace?: string }).namespace, wanted, `${kind} ${metadata.name}`);
    }
    assert.deepEqual(
      named('Role').map((role) => (role as Manifest & { rules: unknown }).rules),
      [[{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'watch'] }]],
    );
  });

  test('every pod is locked down, watched and limited; only Prometheus may ask Kubernetes', () => {
    for (const workload of workloadsOf(build('monitoring'))) {
      const { name, pod } = workload;
      assert.equal(pod.securityContext?.runAsNonRoot, true, name);
      assert.ok(Number(pod.securityContext?.runAsUser) > 0, name);
      assert.equal(pod.securityContext?.seccompProfile?.type, 'RuntimeDefault', name);
      assert.equal(pod.serviceAccountName, name);
      assert.equal(pod.automountServiceAccountToken, name === 'prometheus', name);
      for (const container of containersOf(workload)) {
        assert.equal(container.securityContext?.readOnlyRootFilesystem, true, name);
        assert.deepEqual(container.securityContext?.capabilities, { drop: ['ALL'] }, name);
        assert.ok(container.startupProbe && container.readinessProbe && container.livenessProbe, name);
        for (const part of ['requests', 'limits'] as const)
          assert.ok(container.resources?.[part]?.cpu && container.resources[part].memory, name);
      }
    }
  });

  test('every ConfigMap that is mounted is there, and lies where the process looks', () => {
    for (const { name, pod } of workloadsOf(build('monitoring')))
      for (const { configMap } of pod.volumes ?? [])
        if (configMap !== undefined)
          assert.ok(
            named('ConfigMap').some(({ metadata }) => metadata.name === configMap.name),
            `${name}: ${configMap.name}`,
          );
    const mounts = (name: string) =>
      workloadsOf(build('monitoring')).find((one) => one.name === name)?.pod.containers[0]?.volumeMounts ?? [];
    const { rule_files } = parse(read('overlays/monitoring/prometheus/prometheus.yml')) as { rule_files: string[] };
    const rules = mounts('prometheus').find((mount) => mount.name === 'rules')?.mountPath;
    assert.deepEqual(rule_files, [`${rules}/*.rules.yaml`]);
    const provider = parse(readFileSync(join(root, 'infrastructure/observability/grafana-dashboards.yaml'), 'utf8'));
    const dashboards = mounts('grafana').find((mount) => mount.name === 'dashboards')?.mountPath;
    assert.equal(provider.providers[0].options.path, dashboards);
  });

  test('only Grafana reaches Prometheus, and nobody else reaches anything', () => {
    assert.deepEqual(allowedEdges(build('monitoring'), 'Ingress'), ['grafana → prometheus:9090']);
  });

  test('the images are those of Docker Compose', () => {
    const compose = readFileSync(join(root, 'docker-compose.yml'), 'utf8');
    for (const workload of workloadsOf(build('monitoring')))
      for (const { image = '' } of containersOf(workload)) assert.ok(compose.includes(`image: ${image}\n`), image);
  });
});

for (const overlay of overlays) {
  const built = build(overlay);
  /** With the Secrets that are not part of the overlay. */
  const manifests =
    overlay === 'local'
      ? built
      : [
          ...built,
          ...operatorsSecrets.map((secret) => ({
            ...secret,
            stringData: Object.fromEntries(Object.keys(secret.stringData).map((key) => [key, managed[key]?.value])),
          })),
        ];
  const workloads = workloadsOf(built);
  const all = <M>(kind: string) => built.filter((one) => one.kind === kind) as unknown as M[];
  const everyContainer = (
    check: (workload: Workload, container: ReturnType<typeof containersOf>[number], where: string) => void,
  ) => {
    for (const workload of workloads)
      for (const container of containersOf(workload))
        check(workload, container, `${workload.name}, container ${container.name}`);
  };

  describe(`kubernetes, overlay ${overlay}`, () => {
    test('each object is as its schema wants it', () => assert.deepEqual(schemaErrors(built), []));

    test('the namespace takes only pods of the restricted standard, and everything is in it', () => {
      const [namespace] = all<Manifest>('Namespace');
      for (const mode of ['enforce', 'audit', 'warn'])
        assert.equal(namespace?.metadata.labels?.[`pod-security.kubernetes.io/${mode}`], 'restricted');
      for (const { kind, metadata } of built)
        if (kind !== 'Namespace')
          assert.equal(
            (metadata as { namespace?: string }).namespace,
            namespace?.metadata.name,
            `${kind} ${metadata.name}`,
          );
    });

    test('every pod is locked down', () => {
      const accounts = all<{ metadata: { name: string }; automountServiceAccountToken: boolean }>('ServiceAccount');
      for (const { name, pod } of workloads) {
        const security = pod.securityContext;
        assert.equal(security?.runAsNonRoot, true, name);
        assert.ok(Number(security?.runAsUser) > 0, name);
        assert.equal(security?.seccompProfile?.type, 'RuntimeDefault', name);
        assert.equal(pod.serviceAccountName, name, `${name} has an identity of its own`);
        assert.equal(pod.automountServiceAccountToken, false, name);
        assert.equal(pod.enableServiceLinks, false, name);
        for (const key of ['hostNetwork', 'hostPID', 'hostIPC'] as const) assert.equal(pod[key], undefined, name);
        for (const volume of pod.volumes ?? []) assert.equal(volume.hostPath, undefined, name);
        assert.equal(
          accounts.find(({ metadata }) => metadata.name === name)?.automountServiceAccountToken,
          false,
          name,
        );
      }
      everyContainer((_, { securityContext }, where) => {
        assert.deepEqual(
          securityContext,
          { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          where,
        );
      });
    });

    test('every process of ours is told whether this is production: its image would say that it is', () => {
      everyContainer((_, container, where) => {
        if (!container.image?.includes('glasshouse/')) return;
        const { NODE_ENV } = environmentOf(manifests, container);
        assert.equal(NODE_ENV, overlay === 'local' ? 'development' : 'production', where);
      });
    });

    test('every container says what it requests and where its limits are', () => {
      everyContainer((_, { resources }, where) => {
        for (const part of ['requests', 'limits'] as const)
          for (const resource of ['cpu', 'memory'])
            assert.ok(resources?.[part]?.[resource], `${where}: ${part}.${resource}`);
      });
    });

    test('every process that stays is watched: while it starts, whether it may be sent work, whether it lives', () => {
      for (const { kind, name, pod } of workloads)
        if (kind !== 'CronJob')
          for (const { startupProbe, readinessProbe, livenessProbe } of pod.containers)
            assert.ok(startupProbe && readinessProbe && livenessProbe, name);
    });

    test('every environment can be put together, and the process takes it', () => {
      everyContainer((workload, container, where) => {
        assert.doesNotThrow(() => load(workload, container.name, environmentOf(manifests, container)), where);
      });
    });

    test('an address has the same user and password wherever it stands', () => {
      const logins = new Map<string, string>();
      everyContainer((_, container) => {
        for (const value of Object.values(environmentOf(manifests, container)))
          for (const [, user, password = '', host = ''] of value.matchAll(/:\/\/([^:@/]*):([^@/]+)@([^/?]+)/g)) {
            const login = `${user}@${host}`;
            assert.equal(logins.get(login) ?? password, password, login);
            logins.set(login, password);
          }
      });
      assert.ok(logins.size > 0);
    });

    for (const [name, code] of Object.entries(services)) {
      const workload = workloads.find((one) => one.name === name);
      const container = workload?.pod.containers.find((one) => one.name === 'service');
      assert.ok(workload && container, `${name} runs`);
      const env = environmentOf(manifests, container);
      const own = <M extends { metadata?: { name?: string } }>(kind: string) =>
        all<M>(kind).find(({ metadata }) => metadata?.name === name);

      test(`${name}: is told what it knows, and what it is not told may be left at its default`, () => {
        for (const setting of Object.keys(env)) assert.ok(setting in code.settings, `${setting} is read by nothing`);
        for (const setting of Object.keys(code.settings))
          assert.ok(setting in env || leftAtTheirDefaults.has(setting), `nobody has decided on ${setting}`);
      });

      test(`${name}: is reached where the code listens`, () => {
        const port = portOf(code);
        const ports = Object.fromEntries((container.ports ?? []).map((one) => [one.name, one.containerPort]));
        assert.deepEqual(ports, { http: port, metrics: Number(port) + METRICS_PORT_DISTANCE });
        assert.deepEqual(own<IService>('Service')?.spec?.ports, [{ name: 'http', port, targetPort: 'http' }]);
        assert.deepEqual(own<IService>('Service')?.spec?.selector, { 'app.kubernetes.io/name': name });
        assert.equal(env.HOST, '0.0.0.0');
      });

      test(`${name}: an update loses no request`, () => {
        const { spec } = own<IDeployment>('Deployment') ?? {};
        assert.equal(spec?.strategy?.rollingUpdate?.maxUnavailable, 0);
        const sleepS = container.lifecycle?.preStop?.sleep?.seconds ?? 0;
        const stopS = Number(env.SHUTDOWN_TIMEOUT_MS ?? commonSettings.SHUTDOWN_TIMEOUT_MS.parse(undefined)) / 1000;
        assert.ok(sleepS > 0);
        assert.ok(Number(workload.pod.terminationGracePeriodSeconds) > sleepS + stopS);
      });

      test(`${name}: is scaled, spread and kept while nodes are emptied`, () => {
        const scaler = own<IHorizontalPodAutoscaler>('HorizontalPodAutoscaler')?.spec;
        assert.equal(scaler?.scaleTargetRef.name, name);
        assert.equal(scaler?.minReplicas, overlay === 'production' ? 3 : 1);
        assert.equal(own<IDeployment>('Deployment')?.spec?.replicas, undefined, 'the autoscaler decides');
        const budget = own<IPodDisruptionBudget>('PodDisruptionBudget')?.spec;
        assert.equal(budget?.maxUnavailable, 1);
        assert.deepEqual(budget?.selector?.matchLabels, { 'app.kubernetes.io/name': name });
        const [zones, nodes] = workload.pod.topologySpreadConstraints ?? [];
        for (const spread of [zones, nodes])
          assert.deepEqual(spread?.labelSelector?.matchLabels, { 'app.kubernetes.io/name': name });
        assert.equal(zones?.topologyKey, 'topology.kubernetes.io/zone');
        assert.equal(nodes?.topologyKey, 'kubernetes.io/hostname');
        assert.equal(zones?.whenUnsatisfiable, overlay === 'production' ? 'DoNotSchedule' : 'ScheduleAnyway');
      });

      test(`${name}: its migration runs before it, after the database is made and before rights are given on its tables`, () => {
        const steps = workload.pod.initContainers?.map((one) => one.name) ?? [];
        assert.equal(steps.includes('migrate'), existsSync(join(root, name, 'src/migrate.ts')));
        const order = ['provision', 'migrate', 'rights'];
        assert.deepEqual(
          steps,
          order.filter((step) => steps.includes(step)),
        );
        const migration = workload.pod.initContainers?.find((one) => one.name === 'migrate');
        if (migration === undefined) return;
        assert.deepEqual(migration.command, ['node', 'src/migrate.ts']);
        assert.equal(migration.image, container.image);
      });
    }

    test('a pod that nobody has thought of reaches nobody and is reached by nobody', () => {
      const stranger: Workload = { kind: 'Deployment', name: 'stranger', labels: {}, pod: { containers: [] } };
      assert.deepEqual(rulesFor(built, stranger, 'Ingress'), []);
      const outward = rulesFor(built, stranger, 'Egress');
      assert.deepEqual(
        outward?.flatMap(({ ports }) => ports?.map(({ protocol, port }) => `${protocol} ${port}`)),
        ['UDP 53', 'TCP 53'],
      );
    });

    test('other namespaces see the metrics, and answer for names; no address outside is let in', () => {
      for (const workload of workloads) {
        const foreign = (direction: 'Ingress' | 'Egress') =>
          rulesFor(built, workload, direction)
            ?.filter(({ from = [], to = [] }) => [...from, ...to].some((peer) => peer.namespaceSelector))
            .flatMap(({ ports }) => ports?.map(({ port }) => port));
        assert.deepEqual(foreign('Ingress'), ['metrics'], workload.name);
        assert.deepEqual(foreign('Egress'), [53, 53], workload.name);
        const inward = rulesFor(built, workload, 'Ingress')?.flatMap(({ from = [] }) => from);
        assert.deepEqual(
          inward?.filter(({ ipBlock }) => ipBlock),
          [],
          workload.name,
        );
      }
    });

    test('everybody may look up names', () => {
      for (const workload of workloads)
        assert.ok(
          rulesFor(built, workload, 'Egress')?.some(({ ports }) => ports?.some(({ port }) => port === 53)),
          workload.name,
        );
    });
  });
}

describe('kubernetes, overlay local', { skip: kustomize === undefined }, () => {
  test('the network policies let through what the settings say that the processes call, and nothing else', () => {
    const manifests = build('local');
    assertEdges(manifests, wantedEdges(manifests));
    const outward = workloadsOf(manifests).flatMap((workload) => rulesFor(manifests, workload, 'Egress') ?? []);
    assert.deepEqual(
      outward.flatMap(({ to = [] }) => to).filter(({ ipBlock }) => ipBlock),
      [],
      'nothing leads out of the cluster',
    );
  });

  test('Prometheus finds the broker by a port of its own, the one of the plugin', () => {
    const broker = workloadsOf(build('local')).find(({ name }) => name === 'rabbitmq');
    const ports = broker?.pod.containers[0]?.ports?.filter(({ name }) => name === 'metrics');
    assert.deepEqual(ports, [{ name: 'metrics', containerPort: 15692 }]);
    const plugins = 'overlays/local/rabbitmq/enabled_plugins';
    assert.match(read(plugins), /\brabbitmq_prometheus\b/);
    assert.equal(read(plugins), readFileSync(join(root, 'infrastructure/compose/rabbitmq-plugins'), 'utf8'));
  });

  test('each image is one that there is a Dockerfile for, or a version of somebody else’s', () => {
    for (const workload of workloadsOf(build('local')))
      for (const { image = '' } of containersOf(workload)) {
        const [, own] = /^glasshouse\/([\w-]+)$/.exec(image) ?? [];
        if (own === undefined) assert.match(image, /^(?!glasshouse)[\w./-]+:v?\d[\w.-]*$/, workload.name);
        else assert.ok(existsSync(join(root, own in services ? own : `infrastructure/${own}`, 'Dockerfile')), image);
      }
  });

  test('a member of a replica set finds itself under its name, whatever the cluster’s DNS still remembers', () => {
    const mongos = workloadsOf(build('local')).filter(({ name }) => name.endsWith('-mongo'));
    assert.equal(mongos.length, 2);
    for (const { name, pod } of mongos)
      assert.deepEqual(pod.hostAliases, [{ ip: '127.0.0.1', hostnames: [name] }], name);
  });

  test('MongoDB starts on every kernel: it keeps no memory for each processor', () => {
    const manifests = build('local');
    const mongos = workloadsOf(manifests).flatMap(({ pod }) => pod.containers.filter(({ name }) => name === 'mongo'));
    assert.equal(mongos.length, 2);
    for (const mongo of mongos) assert.equal(environmentOf(manifests, mongo).GLIBC_TUNABLES, 'glibc.pthread.rseq=1');
  });

  test('no process of ours takes its demo values in production', () => {
    const manifests = build('local');
    let refusals = 0;
    for (const workload of workloadsOf(manifests))
      for (const container of containersOf(workload)) {
        const env = environmentOf(manifests, container);
        const isDemo = Object.values(env).some((value) => value.includes('demo-'));
        if (!isDemo || !container.image?.startsWith('glasshouse/')) continue;
        const inProduction = () => load(workload, container.name, { ...env, NODE_ENV: 'production' });
        assert.throws(inProduction, /is a demo value/, `${workload.name}, container ${container.name}`);
        refusals += 1;
      }
    assert.ok(refusals > 0);
  });
});

describe('kubernetes, overlay production', { skip: kustomize === undefined }, () => {
  test('nothing of a demo is in it, and no Secret', () => {
    const manifests = build('production');
    assert.doesNotMatch(JSON.stringify(manifests), /demo|SEED|simulator/i);
    assert.deepEqual(
      manifests.filter(({ kind }) => kind === 'Secret' || kind === 'StatefulSet'),
      [],
    );
  });

  test('a service reaches the other services that its settings name, and outside what its Secrets lead to', () => {
    const manifests = build('production');
    const between: string[] = [];
    for (const workload of workloadsOf(manifests)) {
      const { settings = {} } = services[workload.name] ?? {};
      for (const setting of Object.keys(settings)) {
        const [, other] = /^(\w+)_SERVICE_URL$/.exec(setting) ?? [];
        if (other === undefined) continue;
        const name = `${other.toLowerCase()}-service`;
        between.push(`${workload.name} → ${name}:${services[name] && portOf(services[name])}`);
      }
      const outward = rulesFor(manifests, workload, 'Egress')?.filter(({ to }) => to?.some(({ ipBlock }) => ipBlock));
      const ports = outward?.flatMap((rule) => rule.ports?.map(({ port }) => port));
      const wanted = Object.keys(settings).flatMap((setting) => managed[setting]?.port ?? []);
      assert.deepEqual(ports?.sort(), wanted.sort(), workload.name);
    }
    assertEdges(manifests, between.sort());
  });

  test('the registry may have a port: the version is set before there can be a second colon', () => {
    const { replacements } = parse(read('overlays/production/kustomization.yaml')) as {
      replacements: { source: { fieldPath: string } }[];
    };
    const order = replacements.map(({ source }) => source.fieldPath);
    assert.deepEqual(order.slice(0, 2), ['data.tag', 'data.registry']);
  });

  test('one setting moves all images to another registry and version', () => {
    const { data } = parse(read('overlays/production/platform.yaml')) as { data: Record<string, string> };
    for (const workload of workloadsOf(build('production')))
      for (const { image } of containersOf(workload))
        assert.equal(image, `${data.registry}/${workload.name}:${data.tag}`);
  });
});

test('kubernetes: the probes ask what the code answers: a copy that is leaving is not ready, and yet alive', async () => {
  const { spec } = parse(read('base/service/deployment.yaml')) as { spec: { template: { spec: Workload['pod'] } } };
  const [container] = spec.template.spec.containers;
  let draining = false;
  const app = createApp({ logger: quietLogger, readiness: { conditions: {} }, isDraining: () => draining });
  const http = createHttpServer({ app, host: '127.0.0.1', port: 0 });
  await http.start();
  try {
    const ask = async (probe: 'startupProbe' | 'readinessProbe' | 'livenessProbe') =>
      (await fetch(`http://127.0.0.1:${http.port()}${container?.[probe]?.httpGet?.path}`)).status;
    const asked = async () => [await ask('startupProbe'), await ask('readinessProbe'), await ask('livenessProbe')];
    assert.deepEqual(await asked(), [200, 200, 200]);
    draining = true;
    assert.deepEqual(await asked(), [200, 503, 200]);
  } finally {
    await http.stop();
  }
});
