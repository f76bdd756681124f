// (a) The gateway's throughput for an authenticated GET with every policy on, over nginx's proxy and over its own library alone;
// (b) the same gateway with tracing off, at 5 % and at 100 %. All are measured in turns, in short slices, every second round in the other order.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitUntilUp } from '@glasshouse/local/processes';
import { accepts, freePort, onFreePort } from '@glasshouse/local/servers';
import { createTestKeys } from '@glasshouse/shared/testing';
import { CannotMeasure, type Wanted } from './arguments.ts';
import { tracingSettings } from './bench-platform.ts';
import { startNginx } from './nginx.ts';
import { figure, type Section, type Table } from './report.ts';
import { startSpanSink } from './span-sink.ts';
import { type Figure, figureOf, median, ratios, sum } from './statistics.ts';
import { processorSeconds } from './usage.ts';
import { inherited, type Workshop } from './workshop.ts';

/** A process that listens. */
export interface Started {
  url: string;
  pid: number;
}

type Target =
  | 'nginx'
  | 'nginx, connections kept'
  | 'http-proxy-middleware alone'
  | 'gateway'
  | 'gateway, traced at 5 %'
  | 'gateway, traced at 100 %';

/** What a target has answered for a few seconds, or in the slices of a run together. */
interface Volley {
  answers: number;
  seconds: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  /** Seconds of processor time that each has taken. */
  processorS: { proxy: number; upstream: number };
}

interface Pace {
  /** Of a run: short ones in turns, because the machine is not the same from one second to the next. */
  slices: number;
  sliceS: number;
  warmUpS: number;
}

const ROOT = resolve(import.meta.dirname, '../../..');
const CONNECTIONS = 32;
const PATH = '/api/v1/orders/019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10';
const USER = '019c0f3e-7a10-7c3e-9d41-5b1f6f0a2c01';

function startNode(
  { processes, dir }: Workshop,
  name: string,
  start: (port: number) => { args: string[]; cwd?: string; env: NodeJS.ProcessEnv },
  isUp: (port: number) => Promise<boolean>,
): Promise<Started & { port: number }> {
  return onFreePort(undefined, async (port) => {
    const logFile = join(dir, `${name}.log`);
    const child = await processes.start({
      name,
      stage: 'service',
      command: process.execPath,
      logFile,
      port,
      ...start(port),
    });
    await waitUntilUp(child, logFile, () => isUp(port));
    return { url: `http://127.0.0.1:${port}`, pid: child.pid, port };
  });
}

const isReady = (port: number) =>
  fetch(`http://127.0.0.1:${port}/ready`).then(
    ({ ok }) => ok,
    () => false,
  );

/** Every policy is on, and so are the metrics; the limit of requests is counted, and too high to be reached. */
async function startGateway(workshop: Workshop, name: string, settings: NodeJS.ProcessEnv): Promise<Started> {
  const metricsPort = await freePort();
  return startNode(
    workshop,
    name,
    (port) => ({
      args: ['src/main.ts'],
      cwd: join(ROOT, 'api-gateway'),
      env: {
        ...inherited(),
        PORT: String(port),
        METRICS_PORT: String(metricsPort),
        RATE_LIMIT_PER_MINUTE: '1000000000',
        ...settings,
      },
    }),
    isReady,
  );
}

async function startBaselines(workshop: Workshop, upstream: Started & { port: number }) {
  const plain = await startNginx(workshop, upstream.port, { keepsConnections: false });
  const kept = await startNginx(workshop, upstream.port, { keepsConnections: true });
  const alone = await startNode(
    workshop,
    'bare-proxy',
    (port) => ({
      args: [join(import.meta.dirname, 'bare-proxy-main.ts'), String(port), upstream.url],
      env: inherited(),
    }),
    accepts,
  );
  return { plain, kept, alone };
}

/** Requests over kept connections, by a process of its own, for so many seconds. */
async function fire(
  { processes, dir }: Workshop,
  target: Started,
  upstream: Started,
  { token, seconds, number }: { token: string; seconds: number; number: number },
): Promise<Volley> {
  const logFile = join(dir, `client-${number}.json`);
  const roots = new Map([
    ['proxy', target.pid],
    ['upstream', upstream.pid],
  ]);
  const before = processorSeconds(roots);
  const client = await processes.start({
    name: 'client',
    stage: 'service',
    command: process.execPath,
    args: [
      fileURLToPath(import.meta.resolve('autocannon')),
      ...['--json', '--connections', String(CONNECTIONS), '--duration', String(seconds)],
      ...['--headers', `authorization=Bearer ${token}`, target.url + PATH],
    ],
    logFile,
  });
  const { code } = await client.exited;
  const after = processorSeconds(roots);
  const output = readFileSync(logFile, 'utf8');
  const result = code === 0 ? JSON.parse(output.slice(output.indexOf('{'))) : undefined;
  if (result === undefined || result.non2xx > 0 || result.errors > 0)
    throw new Error(`the requests to ${target.url} were not all answered: ${output.slice(0, 2_000)}`);
  const taken = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
  return {
    answers: result['2xx'],
    seconds: result.duration,
    p50: result.latency.p50,
    p99: result.latency.p99,
    processorS: { proxy: taken('proxy'), upstream: taken('upstream') },
  };
}

/** The slices of a run as one. */
function together(slices: readonly Volley[]): Volley {
  const total = (value: (volley: Volley) => number) => sum(slices.map(value));
  const middle = (value: (volley: Volley) => number) => median(slices.map(value));
  return {
    answers: total(({ answers }) => answers),
    seconds: total(({ seconds }) => seconds),
    p50: middle(({ p50 }) => p50),
    p99: middle(({ p99 }) => p99),
    processorS: {
      proxy: total(({ processorS }) => processorS.proxy),
      upstream: total(({ processorS }) => processorS.upstream),
    },
  };
}

const rateOf = ({ answers, seconds }: Volley) => answers / seconds;

export async function measureGateway(
  workshop: Workshop,
  { only, isQuick, runs = isQuick ? 2 : 5 }: Wanted,
  { tell, cannot }: { tell: (line: string) => void; cannot: (line: string) => void },
): Promise<Section[]> {
  const keys = await createTestKeys();
  try {
    const token = keys.token(USER);
    const sink = await startSpanSink(workshop);
    const upstream = await startNode(
      workshop,
      'upstream',
      (port) => ({
        args: [join(import.meta.dirname, 'upstream-main.ts'), String(port)],
        env: inherited(),
      }),
      accepts,
    );
    const services = { USER_SERVICE_URL: keys.url, ORDER_SERVICE_URL: upstream.url };
    const traced = (share: number) => ({ ...services, ...tracingSettings(sink, share) });
    const targets = new Map<Target, Started>();
    let nginx = '';
    if (only.has('gateway'))
      await startBaselines(workshop, upstream).then(
        ({ plain, kept, alone }) => {
          targets.set('nginx', plain);
          targets.set('nginx, connections kept', kept);
          targets.set('http-proxy-middleware alone', alone);
          nginx = plain.version;
        },
        (error) => {
          if (!(error instanceof CannotMeasure)) throw error;
          cannot(error.message);
        },
      );
    // Without nginx the other measurement is still one.
    if (!targets.has('nginx') && !only.has('tracing')) return [];
    targets.set('gateway', await startGateway(workshop, 'gateway', services));
    targets.set('gateway, traced at 5 %', await startGateway(workshop, 'gateway-5', traced(0.05)));
    targets.set('gateway, traced at 100 %', await startGateway(workshop, 'gateway-100', traced(1)));

    const pace: Pace = isQuick ? { slices: 2, sliceS: 1, warmUpS: 2 } : { slices: 4, sliceS: 2, warmUpS: 10 };
    const results = new Map<Target, Volley[]>([...targets.keys()].map((target) => [target, []]));
    let number = 0;
    const shoot = (started: Started, seconds: number) =>
      fire(workshop, started, upstream, { token, seconds, number: number++ });
    for (const [target, started] of targets) {
      tell(`${target}: warming up`);
      await shoot(started, pace.warmUpS);
    }
    for (let run = 1; run <= runs; run += 1) {
      const slices = new Map<Target, Volley[]>([...targets.keys()].map((target) => [target, []]));
      for (let slice = 0; slice < pace.slices; slice += 1) {
        const round = [...targets];
        for (const [target, started] of slice % 2 === 0 ? round : round.reverse())
          slices.get(target)?.push(await shoot(started, pace.sliceS));
      }
      for (const [target, volleys] of slices) {
        const result = together(volleys);
        tell(`${target}: ${rateOf(result).toFixed(0)} requests a second, run ${run} of ${runs}`);
        results.get(target)?.push(result);
      }
    }
    const sections: Section[] = [];
    if (targets.has('nginx')) sections.push(gatewaySection(results, nginx, pace));
    if (only.has('tracing')) sections.push(tracingSection(results, pace));
    return sections;
  } finally {
    await keys.stop();
  }
}

const rates = (results: ReadonlyMap<Target, readonly Volley[]>, target: Target) =>
  (results.get(target) ?? []).map(rateOf);

const percent = (share: number) => (100 * share).toFixed(0);
const busy =
  (which: 'proxy' | 'upstream') =>
  ({ processorS, seconds }: Volley) =>
    processorS[which] / seconds;

const over = (results: ReadonlyMap<Target, readonly Volley[]>, target: Target, baseline: Target): Figure =>
  figureOf(ratios(rates(results, target), rates(results, baseline)));

/** What each target did, and what that is over each of the baselines. */
function tableOf(results: ReadonlyMap<Target, readonly Volley[]>, baselines: readonly [Target, string][]): Table {
  return {
    columns: [
      '',
      'requests a second',
      ...baselines.map(([, name]) => `over ${name}`),
      'p50 / p99, ms',
      'requests a processor second',
      'busy: proxy / upstream',
    ],
    rows: [...results].map(([target, runs]) => {
      const middle = (value: (run: Volley) => number) => median(runs.map(value));
      return [
        target,
        figure(figureOf(rates(results, target)), 0),
        ...baselines.map(([baseline]) => (target === baseline ? '' : figure(over(results, target, baseline), 2))),
        `${middle(({ p50 }) => p50)} / ${middle(({ p99 }) => p99)}`,
        figure(figureOf(runs.map(({ answers, processorS }) => answers / processorS.proxy)), 0),
        `${percent(middle(busy('proxy')))} / ${percent(middle(busy('upstream')))} %`,
      ];
    }),
  };
}

const howItWasDone = ({ slices, sliceS }: Pace) =>
  `${CONNECTIONS} kept connections; a run is ${slices} slices of ${sliceS} s for each, in turns, by a client in a process of its own; one user's token, \`LOG_LEVEL=${inherited().LOG_LEVEL}\`. "Busy" is the share of one processor that each took: where the proxy's is near 100 %, it is what limits; elsewhere the client and the upstream do, and the requests for each second of the proxy's own processor time tell more.`;

function gatewaySection(results: ReadonlyMap<Target, readonly Volley[]>, version: string, pace: Pace): Section {
  const traced = 'gateway, traced at 5 %';
  const headline = (baseline: Target, name: string, aim?: { atLeast: number }) => ({
    what: `requests a second, ${traced}, over ${name}`,
    figure: over(results, traced, baseline),
    ...(aim && { aim }),
    digits: 3,
  });
  return {
    name: 'gateway',
    title: 'The gateway, over a plain proxy',
    servers: `nginx ${version}`,
    headlines: [
      headline('nginx', "nginx's plain proxy", { atLeast: 0.4 }),
      headline('nginx, connections kept', 'nginx with kept connections', { atLeast: 0.4 }),
      headline('http-proxy-middleware alone', 'http-proxy-middleware alone'),
    ],
    tables: [
      tableOf(results, [
        ['nginx', 'nginx'],
        ['nginx, connections kept', 'nginx, kept'],
        ['http-proxy-middleware alone', 'alone'],
      ]),
    ],
    notes: [
      'nginx with one worker and nothing else asked of it: as its `proxy_pass` comes (before 1.29.7), with a new connection to the upstream for each request, and with connections that are kept. The gateway is one process that checks the token, counts for the limit, and passes on over kept connections behind circuit breaker and bulkhead; "alone" is the library that it passes on with, in an Express app without anything else. All to the same upstream, a server that answers every request with the same order.',
      howItWasDone(pace),
    ],
  };
}

function tracingSection(all: ReadonlyMap<Target, readonly Volley[]>, pace: Pace): Section {
  const results = new Map([...all].filter(([target]) => target.startsWith('gateway')));
  return {
    name: 'tracing',
    title: 'What tracing costs the gateway',
    headlines: (['gateway, traced at 5 %', 'gateway, traced at 100 %'] as const).map((target) => ({
      what: `requests a second, ${target}, over not traced`,
      figure: over(results, target, 'gateway'),
      ...(target === 'gateway, traced at 5 %' && { aim: { atLeast: 0.85 } }),
      digits: 3,
    })),
    tables: [tableOf(results, [['gateway', 'not traced']])],
    notes: [
      'Traces go to a receiver that forgets them (`parentbased_traceidratio`); the client sends no trace of its own, so the gateway decides. Not traced: no endpoint is set.',
      howItWasDone(pace),
    ],
  };
}
