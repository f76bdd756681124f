// (d) How many orders a second the whole platform takes to their end on this machine, over the bare floor of all their commits and deliveries;
// (e) what each service then keeps in memory. Both without tracing and with it, in turns: the services are started anew for each load.
import { setTimeout as delay } from 'node:timers/promises';
import { allServices, type Bench, type Tracing } from './bench-platform.ts';
import type { Floor } from './floor.ts';
import { countsOf, describeCounts, wholeOrder } from './order-path.ts';
import { figure, type Section } from './report.ts';
import type { Shop } from './shop.ts';
import { type Figure, figureOf, median, ratios, sum } from './statistics.ts';
import { ownProcessorSeconds, processorSeconds, residentMb } from './usage.ts';

export interface Pace {
  runs: number;
  /** Numbers of customers among which the best is looked for. */
  customers: readonly number[];
  trialS: number;
  warmUpS: number;
  windowS: number;
  floorS: number;
}

interface Load {
  /** Orders confirmed a second. */
  rate: number;
  /** Mails sent a second: the last that is done for an order. */
  mailRate: number;
  /** Processor seconds for each order, by process. */
  processorS: Map<string, number>;
  residentMb: Map<string, number>;
}

/** Customers in a closed loop: each orders again as soon as the last order is confirmed. Ends when all are through. */
async function order(shop: Shop, customers: number, until: () => boolean, onConfirmed: () => void): Promise<void> {
  await Promise.all(
    Array.from({ length: customers }, async (_, customer) => {
      while (!until()) {
        const { id } = await shop.place(customer);
        await shop.confirmed(id);
        onConfirmed();
      }
    }),
  );
}

/** The first orders of a process are slow: its code is compiled as it runs. */
export async function warmUp(shop: Shop, orders: number): Promise<void> {
  let confirmed = 0;
  await order(
    shop,
    8,
    () => confirmed >= orders,
    () => {
      confirmed += 1;
    },
  );
}

/** @returns orders a second, in a window after `warmUpS` */
async function loadFor(
  { shop, processIds, mailsSent }: Bench,
  { customers, warmUpS, windowS }: { customers: number; warmUpS: number; windowS: number },
): Promise<Omit<Load, 'residentMb'>> {
  let confirmed = 0;
  let isOver = false;
  const ordering = order(
    shop,
    customers,
    () => isOver,
    () => {
      confirmed += 1;
    },
  );
  const measure = async () => {
    await delay(warmUpS * 1000);
    const processor = () => processorSeconds(processIds()).set('the customers', ownProcessorSeconds());
    const before = { confirmed, mails: await mailsSent(), at: performance.now(), processor: processor() };
    await delay(windowS * 1000);
    const after = processor();
    const seconds = (performance.now() - before.at) / 1000;
    const orders = confirmed - before.confirmed;
    const mails = (await mailsSent()) - before.mails;
    const processorS = new Map(
      [...after].map(([name, used]) => [name, (used - (before.processor.get(name) ?? 0)) / orders]),
    );
    return { rate: orders / seconds, mailRate: mails / seconds, processorS };
  };
  // Where a customer fails, nobody waits for the end of the window.
  const failed = ordering.then(() => Promise.withResolvers<never>().promise);
  try {
    return await Promise.race([measure(), failed]);
  } finally {
    isOver = true;
    await ordering.catch(() => {});
  }
}

async function floorRate(floor: Floor, lanes: number, seconds: number): Promise<number> {
  let walked = 0;
  let isOver = false;
  const walking = Promise.all(
    Array.from({ length: lanes }, async () => {
      while (!isOver) {
        await floor.walk(wholeOrder);
        walked += 1;
      }
    }),
  );
  const count = async () => {
    await delay(1_000);
    const before = { walked, at: performance.now() };
    await delay(seconds * 1000);
    return ((walked - before.walked) * 1000) / (performance.now() - before.at);
  };
  try {
    return await Promise.race([count(), walking.then(() => Promise.withResolvers<never>().promise)]);
  } finally {
    isOver = true;
    await walking.catch(() => {});
  }
}

/** The middle of some looks: the collector comes and goes. */
async function memoryOf({ processIds }: Bench): Promise<Map<string, number>> {
  const looks: Map<string, number>[] = [];
  for (let look = 0; look < 5; look += 1) {
    await delay(500);
    const ids = processIds();
    looks.push(new Map(allServices.map((name) => [name, residentMb(ids.get(name) ?? 0)])));
  }
  return new Map(allServices.map((name) => [name, median(looks.map((each) => each.get(name) ?? 0))]));
}

/** The number of customers with which the most orders are confirmed. */
async function bestCrowd(bench: Bench, pace: Pace, tell: (line: string) => void): Promise<number> {
  let best = { customers: pace.customers[0] ?? 1, rate: 0 };
  if (pace.customers.length === 1) return best.customers;
  for (const customers of pace.customers) {
    const { rate } = await loadFor(bench, { customers, warmUpS: pace.warmUpS / 2, windowS: pace.trialS });
    tell(`${customers} customers: ${rate.toFixed(1)} orders a second`);
    if (rate > best.rate) best = { customers, rate };
  }
  return best.customers;
}

export async function measureThroughput(
  bench: Bench,
  floor: Floor,
  pace: Pace,
  tell: (line: string) => void,
  withTracing: boolean,
): Promise<{ throughput: Section; memory: Section }> {
  const customers = await bestCrowd(bench, pace, tell);
  const modes: Tracing[] = withTracing ? ['off', '5 %'] : ['off'];
  const loads: Record<Tracing, Load[]> = { off: [], '5 %': [] };
  const floors: number[] = [];
  for (let run = 1; run <= pace.runs; run += 1) {
    // In the other order every second time: what drifts favours nobody.
    for (const tracing of run % 2 === 1 ? modes : modes.toReversed()) {
      tell(`orders a second, tracing ${tracing}: run ${run} of ${pace.runs}`);
      await bench.restartServices(tracing);
      const load = await loadFor(bench, { ...pace, customers });
      loads[tracing].push({ ...load, residentMb: await memoryOf(bench) });
    }
    tell(`the floor: run ${run} of ${pace.runs}`);
    floors.push(await floorRate(floor, customers, pace.floorS));
  }
  return {
    throughput: throughputSection(loads, floors, customers, pace),
    memory: memorySection(loads),
  };
}

const figureBy = (loads: readonly Load[], value: (load: Load) => number): Figure => figureOf(loads.map(value));

function throughputSection(
  { off, '5 %': traced }: Record<Tracing, Load[]>,
  floors: readonly number[],
  customers: number,
  { windowS, warmUpS }: Pace,
): Section {
  const rates = off.map(({ rate }) => rate);
  const over = figureOf(ratios(rates, floors));
  const rows = [
    ['floor', figure(figureOf(floors), 1), '', ''],
    [
      'platform',
      figure(figureOf(rates), 1),
      figure(
        figureBy(off, ({ mailRate }) => mailRate),
        1,
      ),
      figure(over, 3),
    ],
  ];
  if (traced.length > 0) {
    const tracedRates = traced.map(({ rate }) => rate);
    rows.push([
      'platform, traced at 5 %',
      figure(figureOf(tracedRates), 1),
      figure(
        figureBy(traced, ({ mailRate }) => mailRate),
        1,
      ),
      figure(figureOf(ratios(tracedRates, floors)), 3),
    ]);
  }
  return {
    name: 'throughput',
    title: 'Orders a second, everything on this machine',
    headlines: [
      { what: 'orders a second', figure: figureOf(rates), digits: 1 },
      { what: 'orders a second over the floor', figure: over, aim: { atLeast: 0.3 }, digits: 3 },
      ...(traced.length > 0
        ? [
            {
              what: 'orders a second, traced at 5 % over not traced',
              figure: figureOf(
                ratios(
                  traced.map(({ rate }) => rate),
                  rates,
                ),
              ),
              aim: { atLeast: 0.85 },
              digits: 2,
            },
          ]
        : []),
    ],
    tables: [
      { columns: ['', 'orders a second', 'of which the mail went out', 'over the floor'], rows },
      processorTable(off, traced),
    ],
    notes: [
      `${customers} customers, each of whom orders again when the last order is confirmed; ${windowS} s after ${warmUpS} s to warm up, with services started anew.`,
      `The floor: ${describeCounts(countsOf(wholeOrder))} for each order, by ${customers} loops in one process. Under load the platform takes several events out of an outbox with one commit; the floor takes each by itself.`,
      'The second table: processor milliseconds for each order, by process, servers and their children included; the customers are this command itself, on the same processors.',
    ],
  };
}

function processorTable(off: readonly Load[], traced: readonly Load[]) {
  const names = [...(off[0]?.processorS.keys() ?? [])];
  const of = (loads: readonly Load[], value: (load: Load) => number) =>
    loads.length === 0 ? [] : [figure(figureBy(loads, value), 1)];
  const ms = (name: string) => (load: Load) => 1000 * (load.processorS.get(name) ?? 0);
  const total = (load: Load) => 1000 * sum([...load.processorS.values()]);
  return {
    columns: ['processor ms for each order', 'not traced', ...(traced.length > 0 ? ['traced at 5 %'] : [])],
    rows: [
      ...names.map((name) => [name, ...of(off, ms(name)), ...of(traced, ms(name))]),
      ['in all', ...of(off, total), ...of(traced, total)],
    ],
  };
}

function memorySection({ off, '5 %': traced }: Record<Tracing, Load[]>): Section {
  const total = (load: Load) => sum([...load.residentMb.values()]);
  const of = (loads: readonly Load[], value: (load: Load) => number) =>
    loads.length === 0 ? '' : figure(figureBy(loads, value), 0);
  const mb = (name: string) => (load: Load) => load.residentMb.get(name) ?? 0;
  return {
    name: 'memory',
    title: 'Memory of the services after the load',
    headlines: [
      {
        what: 'the six services together, not traced',
        figure: figureBy(off, total),
        aim: { atMost: 800 },
        digits: 0,
        unit: ' MB',
      },
      ...(traced.length > 0
        ? [
            {
              what: 'the six services together, traced at 5 %',
              figure: figureBy(traced, total),
              aim: { atMost: 1000 },
              digits: 0,
              unit: ' MB',
            },
          ]
        : []),
    ],
    tables: [
      {
        columns: ['resident MB', 'not traced', 'traced at 5 %'],
        rows: [
          ...allServices.map((name) => [name, of(off, mb(name)), of(traced, mb(name))]),
          ['the six together', of(off, total), of(traced, total)],
        ],
      },
    ],
    notes: [
      'Resident memory (VmRSS) right after the load of the section before, the middle of five looks; what processes share is counted for each. MB of 10⁶ bytes.',
    ],
  };
}
