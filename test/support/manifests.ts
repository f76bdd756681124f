// The Kubernetes manifests as a cluster would get them, and what follows from them: what each process is told, and who may talk to whom.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import type { IPodTemplateSpec } from 'kubernetes-models/v1/PodTemplateSpec';
import type { ISecret } from 'kubernetes-models/v1/Secret';
import type { IService } from 'kubernetes-models/v1/Service';
import { parseAllDocuments } from 'yaml';

const root = join(import.meta.dirname, '../..');
export const kubernetesDir = join(root, 'infrastructure/kubernetes');

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
}

export const parseManifests = (text: string): Manifest[] =>
  parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS() as Manifest;
  });

/** The command that builds an overlay; undefined where neither program is installed. */
export const kustomize = [
  ['kubectl', 'kustomize'],
  ['kustomize', 'build'],
].find(([program = '']) => spawnSync(program, ['--help']).error === undefined);

const built = new Map<string, Manifest[]>();

/** The objects of an overlay, as Kustomize puts them together. */
export function build(overlay: 'local' | 'production' | 'monitoring'): Manifest[] {
  const [program = '', ...args] = kustomize ?? [];
  const folder = join(kubernetesDir, 'overlays', overlay);
  const options = { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 } as const;
  const manifests = built.get(overlay) ?? parseManifests(execFileSync(program, [...args, folder], options));
  built.set(overlay, manifests);
  return manifests;
}

/**
 * What the compiler says of the objects, given the types that were made from Kubernetes' own schemas: unlike those, it does not take fields that do not exist.
 * @returns one line for each error, naming the object
 */
export function schemaErrors(manifests: readonly Manifest[]): string[] {
  mkdirSync(join(root, '.local'), { recursive: true });
  // Below the repository, for the types are found from there.
  const dir = mkdtempSync(join(root, '.local/manifests-'));
  try {
    const types = new Set(
      manifests.map(
        ({ apiVersion, kind }) => `import type { I${kind} } from 'kubernetes-models/${apiVersion}/${kind}';`,
      ),
    );
    const lines = [...types, ...manifests.map((one) => `(${JSON.stringify(one)}) satisfies I${one.kind};`)];
    const file = join(dir, 'objects.ts');
    writeFileSync(file, lines.join('\n'));
    const flags = [
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      '--target',
      'esnext',
      '--module',
      'nodenext',
    ];
    const { stdout } = spawnSync(join(root, 'node_modules/.bin/tsc'), [...flags, '--types', '', file], {
      encoding: 'utf8',
    });
    return [...stdout.matchAll(/objects\.ts\((\d+),\d+\): error (.*)/g)].map(([, line, message]) => {
      const subject = manifests[Number(line) - types.size - 1];
      return `${subject?.kind} ${subject?.metadata.name}: ${message}`;
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

export interface Workload {
  kind: string;
  name: string;
  labels: Record<string, string>;
  pod: IPodSpec;
}

/** Everything that makes pods. */
export function workloadsOf(manifests: readonly Manifest[]): Workload[] {
  return manifests.flatMap((manifest) => {
    const { kind, metadata } = manifest;
    if (kind !== 'Deployment' && kind !== 'StatefulSet' && kind !== 'CronJob') return [];
    const { spec } = manifest as unknown as {
      spec: { template: IPodTemplateSpec; jobTemplate: { spec: { template: IPodTemplateSpec } } };
    };
    const template = kind === 'CronJob' ? spec.jobTemplate.spec.template : spec.template;
    if (template.spec === undefined) throw new Error(`${kind} ${metadata.name} has no pod`);
    return [{ kind, name: metadata.name, labels: template.metadata?.labels ?? {}, pod: template.spec }];
  });
}

export const containersOf = ({ pod }: Workload): IContainer[] => [...(pod.initContainers ?? []), ...pod.containers];

const named = <M>(manifests: readonly Manifest[], kind: string, name: string | undefined): M => {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found as unknown as M;
};

function secretValues({ data, stringData }: ISecret): Record<string, string> {
  const decoded = Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]);
  return { ...Object.fromEntries(decoded), ...stringData };
}

/**
 * The environment of a container.
 * @throws where it refers to a ConfigMap, a Secret or a key that is not there
 */
export function environmentOf(manifests: readonly Manifest[], container: IContainer): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef) Object.assign(env, named<IConfigMap>(manifests, 'ConfigMap', configMapRef.name).data);
    if (secretRef) Object.assign(env, secretValues(named<ISecret>(manifests, 'Secret', secretRef.name)));
  }
  for (const { name, value } of container.env ?? []) {
    if (value === undefined) throw new Error(`${container.name}: ${name} has no value of its own`);
    env[name] = value;
  }
  return env;
}

type Selector = {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
};

function selects(selector: Selector, labels: Record<string, string>): boolean {
  const byExpression = (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    if (operator !== 'In') throw new Error(`the operator ${operator} is not understood here`);
    return values.includes(labels[key] ?? '');
  });
  return byExpression && Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}

type Direction = 'Ingress' | 'Egress';
type Rule = {
  from?: { podSelector?: Selector; namespaceSelector?: object; ipBlock?: { cidr: string } }[];
  to?: Rule['from'];
  ports?: { port?: number | string; protocol?: string }[];
};

/** The rules of every policy that is about this pod, in this direction; undefined where none is: then all is allowed. */
export function rulesFor(manifests: readonly Manifest[], pod: Workload, direction: Direction): Rule[] | undefined {
  const policies = manifests
    .filter(({ kind }) => kind === 'NetworkPolicy')
    .map((one) => (one as unknown as INetworkPolicy).spec)
    .filter(
      (spec) => spec?.policyTypes?.includes(direction) && selects((spec.podSelector ?? {}) as Selector, pod.labels),
    );
  if (policies.length === 0) return undefined;
  return policies.flatMap((spec) => ((direction === 'Ingress' ? spec?.ingress : spec?.egress) ?? []) as Rule[]);
}

function allows(rules: Rule[] | undefined, peer: Workload, port: { name?: string; containerPort: number }): boolean {
  if (rules === undefined) return true;
  return rules.some(({ from, to, ports }) => {
    const peers = from ?? to;
    const meant =
      peers?.some((one) => one.podSelector && !one.namespaceSelector && selects(one.podSelector, peer.labels)) ?? true;
    return meant && (ports?.some((one) => one.port === port.containerPort || one.port === port.name) ?? true);
  });
}

/** Every connection between two workloads that the policies let out of the one or into the other, as `from → to:port`. */
export function allowedEdges(manifests: readonly Manifest[], direction: Direction): string[] {
  const workloads = workloadsOf(manifests);
  const edges = workloads.flatMap((from) =>
    workloads.flatMap((to) => {
      if (from.name === to.name) return [];
      const [subject, peer] = direction === 'Egress' ? [from, to] : [to, from];
      const rules = rulesFor(manifests, subject, direction);
      return to.pod.containers
        .flatMap(({ ports = [] }) => ports)
        .filter((port) => allows(rules, peer, port))
        .map((port) => `${from.name} → ${to.name}:${port.containerPort}`);
    }),
  );
  return edges.sort();
}

const defaultPorts: Record<string, number> = { http: 80, https: 443 };

/**
 * Every connection that the processes are told to make, by the addresses in their environment, as `from → to:port`.
 * @throws where an address leads to no Service, or to a port that this has not
 */
export function wantedEdges(manifests: readonly Manifest[]): string[] {
  const workloads = workloadsOf(manifests);
  const edges = workloads.flatMap((from) =>
    containersOf(from).flatMap((container) =>
      Object.values(environmentOf(manifests, container)).flatMap((value) =>
        [...value.matchAll(/\b(\w+):\/\/(?:[^@/,]*@)?([\w.-]+)(?::(\d+))?/g)].flatMap(
          ([address, protocol = '', host, port]) => {
            const { spec } = named<IService>(manifests, 'Service', host);
            const wanted = Number(port ?? defaultPorts[protocol]);
            const entry = spec?.ports?.find((one) => one.port === wanted);
            const to = workloads.find(({ labels }) => selects({ matchLabels: spec?.selector ?? {} }, labels));
            const target = to?.pod.containers
              .flatMap(({ ports = [] }) => ports)
              .find((one) => one.name === entry?.targetPort || one.containerPort === entry?.targetPort);
            if (to === undefined || target === undefined) throw new Error(`${from.name}: nobody answers at ${address}`);
            return to.name === from.name ? [] : [`${from.name} → ${to.name}:${target.containerPort}`];
          },
        ),
      ),
    ),
  );
  return [...new Set(edges)].sort();
}
