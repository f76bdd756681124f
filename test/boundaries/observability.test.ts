// Dashboards, rules and runbooks agree with each other, with the code and with Prometheus. No server is needed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { services } from '../../infrastructure/local/src/services.ts';
import {
  dashboards,
  metricsNamed,
  namesIn,
  observabilityDir,
  type Panel,
  queriesOf,
  ruleFiles,
  rules,
  ruleTestFiles,
  ruleTests,
} from '../support/observability.ts';

const root = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const alerts = rules.flatMap(({ alert, ...rule }) => (alert === undefined ? [] : [{ alert, ...rule }]));
const prometheusOf = {
  compose: 'infrastructure/compose/prometheus.yml',
  kubernetes: 'infrastructure/kubernetes/overlays/monitoring/prometheus/prometheus.yml',
};

/** As many as are used here; Grafana shows a unit that it does not know as text behind the number. */
const units = ['bytes', 'mps', 'none', 'ops', 'percentunit', 'reqps', 's'];
const types = ['heatmap', 'logs', 'row', 'stat', 'table', 'timeseries'];

const overlap = ({ gridPos: a }: Panel, { gridPos: b }: Panel) =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
const assertUnique = (values: readonly (string | number)[], what: string) =>
  assert.deepEqual(values.toSorted(), [...new Set(values)].sort(), what);

test('dashboards: each is found by a name and an id of its own', () => {
  assert.equal(dashboards.length, 4);
  assertUnique(
    dashboards.map(({ title }) => title),
    'titles',
  );
  for (const { file, uid } of dashboards) assert.equal(uid, `glasshouse-${basename(file, '.json')}`);
});

for (const dashboard of dashboards) {
  const { file, panels, schemaVersion, templating } = dashboard;

  test(`${file}: Grafana can show it`, () => {
    assert.equal(schemaVersion, 41);
    assertUnique(
      panels.map(({ id }) => id),
      'ids',
    );
    const sources = parse(read('infrastructure/compose/grafana-datasources.yaml')) as {
      datasources: { type: string; uid: string }[];
    };
    for (const { type, title, datasource, targets = [], fieldConfig } of panels) {
      assert.ok(types.includes(type), `${title}: ${type}`);
      if (type === 'row') continue;
      assert.ok(
        sources.datasources.some(({ type, uid }) => type === datasource?.type && uid === datasource.uid),
        `${title}: ${datasource?.uid}`,
      );
      assert.ok(targets.length > 0, title);
      assertUnique(
        targets.map(({ refId }) => refId),
        title,
      );
      const { unit } = fieldConfig?.defaults ?? {};
      assert.ok(unit === undefined || units.includes(unit), `${title}: ${unit}`);
      if (type === 'timeseries' || type === 'stat') assert.ok(unit, `${title} has a unit`);
    }
  });

  test(`${file}: no panel lies over another, or beside the page`, () => {
    for (const [index, panel] of panels.entries()) {
      const { x, y, w, h } = panel.gridPos;
      assert.ok(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= 24, panel.title);
      for (const other of panels.slice(index + 1)) assert.ok(!overlap(panel, other), `${panel.title}, ${other.title}`);
    }
  });

  test(`${file}: its queries use the variables that it has`, () => {
    const used = panels.flatMap(({ targets = [] }) =>
      targets.flatMap(({ expr }) => [...expr.matchAll(/\$(?!__)(\w+)/g)].map(([, name]) => name)),
    );
    assert.deepEqual([...new Set(used)].sort(), templating.list.map(({ name }) => name).sort());
  });
}

/** The metrics that our code makes, as the exporter names them. */
const made = globSync(['shared/src/**/*.ts', '*-service/src/**/*.ts', 'api-gateway/src/**/*.ts'], { cwd: root })
  .filter((file) => !file.endsWith('.test.ts'))
  .flatMap((file) => [
    ...read(file).matchAll(/\b(durationHistogram|counter|gauge|createObservableCounter)\(\s*'([^']+)'/g),
  ])
  .map(([, kind = '', name = '']) => {
    const suffixes = { durationHistogram: ['_bucket', '_count', '_sum'], gauge: [''] }[kind] ?? ['_total'];
    return suffixes.map((suffix) => name.replaceAll('.', '_') + suffix);
  });

test('metrics: each that is shown or judged is made by our code, by its runtime or by RabbitMQ', () => {
  assert.ok(made.length > 20, `${made.length} were found`);
  const known = new Set(made.flat());
  for (const name of metricsNamed())
    assert.ok(known.has(name) || /^(?:nodejs_|v8js_|rabbitmq_|target_info$)/.test(name), `nobody makes ${name}`);
});

test('metrics: each that our code makes is shown or judged', () => {
  const named = new Set(metricsNamed());
  for (const names of made)
    assert.ok(
      names.some((name) => named.has(name)),
      `${names[0]} is looked at by nobody`,
    );
});

test('metrics: the names in an expression are found', () => {
  const expr = `
    sum by (a) (rate(one_total{job="x", route!~"/a|/b"}[5m])) or on (b) 2.5 * max_over_time(two:three:rate5m[1h]) # four
    unless ignoring (c) five offset 1h > 1e3 and absent(up{job="six{"}) + Inf`;
  assert.deepEqual(namesIn(expr), ['one_total', 'two:three:rate5m', 'five', 'up']);
});

test('alerts: each says how urgent it is, what is wrong and where to read on, and nobody else says the same', () => {
  assert.ok(alerts.length > 10);
  assertUnique(
    alerts.map(({ alert, labels }) => `${alert} ${labels?.severity}`),
    'alerts',
  );
  for (const { alert, labels, annotations = {} } of alerts) {
    assert.match(labels?.severity ?? 'none', /^(?:page|ticket)$/, alert);
    assert.deepEqual(Object.keys(annotations), ['summary', 'description', 'runbook_url'], alert);
    for (const text of Object.values(annotations)) assert.ok(text.length > 10, alert);
  }
});

test('runbooks: each alert has its page, which names it, and each page its alert', () => {
  const { spec } = parse(read('infrastructure/kubernetes/argocd/application.yaml')) as {
    spec: { source: { repoURL: string } };
  };
  const repository = spec.source.repoURL.replace(/\.git$/, '/blob/main/');
  const pages = alerts.map(({ alert, annotations }) => {
    const url = annotations?.runbook_url ?? '';
    assert.ok(url.startsWith(repository), url);
    const page = url.slice(repository.length);
    assert.ok(existsSync(join(root, page)), `${alert}: ${page} is not there`);
    assert.match(read(page), new RegExp(`\`${alert}\``), `${page} speaks of ${alert}`);
    return page;
  });
  assert.deepEqual([...new Set(pages)].sort(), globSync('docs/runbooks/*.md', { cwd: root }).sort());
});

test('runbooks: what they say to run, read and look for is there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const sources = globSync(['shared/src/**/*.ts', '*-service/src/**/*.ts', 'api-gateway/src/**/*.ts'], { cwd: root })
    .filter((file) => !file.endsWith('.test.ts'))
    .map(read)
    .join('\n');
  const known = new Set([...metricsNamed(), ...made.flat(), ...rules.flatMap(({ record }) => record ?? []), 'up']);
  for (const file of globSync(['docs/runbooks/*.md', 'infrastructure/observability/README.md'], { cwd: root })) {
    const page = read(file);
    for (const [, script = ''] of page.matchAll(/npm (?:run )?(?:--silent )?([\w-]+)/g))
      assert.ok(script in scripts, `${file}: npm run ${script}`);
    for (const [, target = ''] of page.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g))
      assert.ok(existsSync(join(root, file, '..', target)), `${file}: ${target}`);
    for (const [, line = ''] of page.matchAll(/says? `([^`]+)`/g))
      assert.ok(sources.includes(line), `${file}: nobody logs "${line}"`);
    for (const [, query = ''] of page.matchAll(/```promql\n(.*?)```/gs))
      for (const name of namesIn(query)) assert.ok(known.has(name), `${file}: nobody makes ${name}`);
  }
});

test('rules: a test of theirs sets off each alert, and sees it silent', () => {
  const checks = ruleTests.flatMap(({ alert_rule_test }) => alert_rule_test);
  for (const { alert, labels } of alerts) {
    const of = checks.filter(({ alertname }) => alertname === alert);
    const fires = of.some(({ exp_alerts = [] }) =>
      exp_alerts.some(({ exp_labels }) => exp_labels.severity === labels?.severity),
    );
    assert.ok(fires, `no test sets off ${alert} (${labels?.severity})`);
    assert.ok(
      of.some(({ exp_alerts = [] }) => exp_alerts.length === 0),
      `no test sees ${alert} silent`,
    );
  }
});

test('rules: every service is missed where it is gone, and every job that is watched is one that Prometheus has', () => {
  const exprOf = (name: string) => alerts.find(({ alert }) => alert === name)?.expr ?? '';
  const jobsIn = (expr: string) => /\bup\{job=~"([^"]+)"\}/.exec(expr)?.[1]?.split('|').sort();
  const names = services.map(({ name }) => name).sort();
  assert.deepEqual(jobsIn(exprOf('ServiceDown')), names);
  const missed = [...exprOf('ServiceDown').matchAll(/absent\(up\{job="([^"]+)"\}\)/g)].map(([, job]) => job);
  assert.deepEqual(missed.sort(), names);
  const { scrape_configs } = parse(read(prometheusOf.compose)) as { scrape_configs: { job_name: string }[] };
  assert.deepEqual(jobsIn(exprOf('TargetDown')), scrape_configs.map(({ job_name }) => job_name).sort());
});

test('compose and Kubernetes use these files, and no copies', () => {
  const compose = read('docker-compose.yml');
  for (const path of ['rules:/etc/prometheus/rules', 'dashboards:/etc/grafana/dashboards'])
    assert.ok(compose.includes(`./infrastructure/observability/${path}:ro`), path);
  const { configMapGenerator } = parse(read('infrastructure/observability/kustomization.yaml')) as {
    configMapGenerator: { name: string; files: string[]; options?: { labels: Record<string, string> } }[];
  };
  const shipped = configMapGenerator.flatMap(({ files }) => files);
  const wanted = [...ruleFiles, ...dashboards.map(({ file }) => `dashboards/${file}`), 'grafana-dashboards.yaml'];
  assert.deepEqual(shipped.sort(), wanted.sort());
  const ofSidecar = configMapGenerator.find(({ options }) => options?.labels.grafana_dashboard === '1');
  assert.equal(ofSidecar?.name, 'glasshouse-dashboards');
});

/** Runs promtool, where it is installed (Debian's package `prometheus`). */
function promtool(t: TestContext, ...args: string[]): void {
  const { error, status, stdout, stderr } = spawnSync('promtool', args, { cwd: observabilityDir, encoding: 'utf8' });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
    t.diagnostic(`promtool is not installed: it was not asked to ${args.slice(0, 2).join(' ')}`);
    return;
  }
  assert.equal(status, 0, stdout + stderr);
}

test('promtool: the rules are well-formed', (t) => promtool(t, 'check', 'rules', ...ruleFiles));

test('promtool: the rules do what their tests say', (t) => promtool(t, 'test', 'rules', ...ruleTestFiles));

test('promtool: what Prometheus is told is well-formed', (t) => {
  promtool(t, 'check', 'config', join(root, prometheusOf.compose));
  const dir = mkdtempSync(join(tmpdir(), 'glasshouse-prometheus-'));
  try {
    const file = join(dir, 'prometheus.yml');
    // Debian's promtool is built without Kubernetes.
    const found = read(prometheusOf.kubernetes).replaceAll(/kubernetes_sd_configs: \[.*\]/g, 'static_configs: []');
    writeFileSync(file, found);
    promtool(t, 'check', 'config', file);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('promtool: the queries of the dashboards are PromQL', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'glasshouse-queries-'));
  try {
    const file = join(dir, 'queries.yaml');
    const asRules = dashboards.flatMap(queriesOf).map((expr, index) => ({
      record: `query:${index}`,
      expr: expr.replaceAll('$__rate_interval', '1m'),
    }));
    assert.ok(asRules.length > 50, `${asRules.length} were found`);
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'queries', rules: asRules }] }));
    promtool(t, 'check', 'rules', file);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
