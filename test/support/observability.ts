// What watches the platform: dashboards, rules and their tests, and which metrics they speak of.
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '../..');
export const observabilityDir = join(root, 'infrastructure/observability');
const read = (file: string) => readFileSync(join(observabilityDir, file), 'utf8');

/** Of Grafana's dashboard format (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/), what is used here. */
export interface Dashboard {
  file: string;
  uid: string;
  title: string;
  schemaVersion: number;
  templating: { list: { name: string; datasource: Datasource; query: { query: string } }[] };
  panels: Panel[];
}
interface Datasource {
  type: string;
  uid: string;
}
export interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { x: number; y: number; w: number; h: number };
  datasource?: Datasource;
  fieldConfig?: { defaults: { unit?: string } };
  targets?: { refId: string; expr: string }[];
}

/** https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ */
export interface Rule {
  record?: string;
  alert?: string;
  expr: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/ */
export interface RuleTest {
  alert_rule_test: { alertname: string; exp_alerts?: { exp_labels: Record<string, string> }[] }[];
}

export const dashboards: Dashboard[] = globSync('dashboards/*.json', { cwd: observabilityDir })
  .sort()
  .map((file) => ({ ...(JSON.parse(read(file)) as Dashboard), file: basename(file) }));

export const ruleFiles = globSync('rules/*.rules.yaml', { cwd: observabilityDir }).sort();
export const rules: Rule[] = ruleFiles.flatMap((file) =>
  (parse(read(file)) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules),
);

export const ruleTestFiles = globSync('rules/*.test.yaml', { cwd: observabilityDir }).sort();
export const ruleTests: RuleTest[] = ruleTestFiles.flatMap(
  (file) => (parse(read(file)) as { tests: RuleTest[] }).tests,
);

/** Every query of a dashboard that goes to Prometheus. */
export function queriesOf({ panels, templating }: Dashboard): string[] {
  const ofPanels = panels.filter(({ datasource }) => datasource?.type === 'prometheus');
  return [
    ...ofPanels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...templating.list.flatMap(({ query }) => /^label_values\((.+), \w+\)$/.exec(query.query)?.[1] ?? []),
  ];
}

/** Words of PromQL that could be taken for a metric: https://prometheus.io/docs/prometheus/latest/querying/operators/ */
const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'inf', 'nan']);
/** What Prometheus makes itself: https://prometheus.io/docs/concepts/jobs_instances/ */
const OF_PROMETHEUS = new Set(['up', 'ALERTS']);

/** The metrics and recorded series that a PromQL expression names. */
export function namesIn(expr: string): string[] {
  const bare = expr
    .replaceAll(/#.*$/gm, '')
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '')
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, '')
    .replaceAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
    .replaceAll(/\boffset\s+\w+/g, ' ');
  const names = [...bare.matchAll(/(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])/g)].map(([name]) => name);
  return [...new Set(names)].filter((name) => !WORDS.has(name.toLowerCase()));
}

/** Every metric that a dashboard or a rule names, recorded series resolved to what they are made of; without what Prometheus makes itself. */
export function metricsNamed(): string[] {
  const recorded = new Set(rules.flatMap(({ record }) => record ?? []));
  const expressions = [...dashboards.flatMap(queriesOf), ...rules.map(({ expr }) => expr)];
  // What a recorded series is made of is named by its own rule.
  const names = expressions.flatMap(namesIn).filter((name) => !recorded.has(name) && !OF_PROMETHEUS.has(name));
  return [...new Set(names)].sort();
}
