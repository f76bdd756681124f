// (d) How many orders a second the whole platform takes to their end on this machine, over the bare floor of all their commits and deliveries: done
// back to back by one loop, as in (c), and by as many loops at once as there are customers, which share what can be shared;
// (e) what each service then keeps in memory. A platform without tracing, one with it and the floor have the machine in turns.
import { setTimeout as delay } from 'node:timers/promises';
import { allServices, type Bench } from './bench-platform.ts';
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
  /** How many orders each platform has before anything counts. */
  warmUpOrders: number;
  /** Of a run: short ones in turns, because the machine is not the same from one moment to the next. */
  slices: number;
  /** How long a platform and the floor are measured in a slice, in seconds. */
  sliceS: number;
  floorS: number;
}

/** Until every customer has an order under way, in seconds. */
const RAMP_S = 2;

/** What a platform has done in the slices of a run. */
interface Load {
  seconds: number;
  /** Confirmed. */
  orders: number;
  /** Sent: the last that is done for an order. */
  mails: number;
  /** Processor seconds by process. */
  processorS: Map<string, number>;
}

interface Walked {
  seconds: number;
  orders: number;
}

interface Run {
  plain: Load & { residentMb: Map<string, number> };
  traced: Load & { residentMb: Map<string, number> };
  /** By one loop. */
  loop: Walked;
  /** By as many as there are customers. */
  loops: Walked;
}

const rateOf = ({ orders, seconds }: Walked) => orders / seconds;

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

/** Customers order for a while; what they got in the last `seconds` counts. */
async function loadFor({ shop, processIds, mailsSent }: Bench, customers: number, seconds: number): Promise<Load> {
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
  const measure = async (): Promise<Load> => {
    await delay(RAMP_S * 1000);
    const processor = () => processorSeconds(processIds()).set('the customers', ownProcessorSeconds());
    const before = { confirmed, mails: await mailsSent(), at: performance.now(), processor: processor() };
    await delay(seconds * 1000);
    const after = processor();
    return {
      seconds: (performance.now() - before.at) / 1000,
      orders: confirmed - before.confirmed,
      mails: (await mailsSent()) - before.mails,
      processorS: new Map([...after].map(([name, used]) => [name, used - (before.processor.get(name) ?? 0)])),
    };
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

function together(loads: readonly Load[]): Load {
  const names = [...(loads[0]?.processorS.keys() ?? [])];
  return {
    seconds: sum(loads.map(({ seconds }) => seconds)),
    orders: sum(loads.map(({ orders }) => orders)),
    mails: sum(loads.map(({ mails }) => mails)),
    processorS: new Map(names.map((name) => [name, sum(loads.map(({ processorS }) => processorS.get(name) ?? 0))])),
  };
}

const allOf = (walks: readonly Walked[]): Walked => ({
  orders: sum(walks.map(({ orders }) => orders)),
  seconds: sum(walks.map(({ seconds }) => seconds)),
});

async function walkFor(floor: Floor, lanes: number, seconds: number): Promise<Walked> {
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
  const count = async (): Promise<Walked> => {
    await delay(1_000);
    const before = { walked, at: performance.now() };
    await delay(seconds * 1000);
    return { orders: walked - before.walked, seconds: (performance.now() - before.at) / 1000 };
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
async function bestCrowd(bench: Bench, { customers: crowds, sliceS }: Pace, tell: (line: string) => void) {
  const [only = 1] = crowds;
  if (crowds.length === 1) return only;
  const best = { customers: only, rate: 0 };
  for (const customers of crowds) {
    const rate = rateOf(await loadFor(bench, customers, sliceS));
    tell(`${customers} customers: ${rate.toFixed(1)} orders a second`);
    if (rate > best.rate) Object.assign(best, { customers, rate });
  }
  return best.customers;
}

export async function measureThroughput(
  { plain, traced, floor }: { plain: Bench; traced: Bench; floor: Floor },
  pace: Pace,
  tell: (line: string) => void,
): Promise<{ throughput: Section; memory: Section }> {
  tell('the platforms are warming up');
  for (const bench of [plain, traced]) await warmUp(bench.shop, pace.warmUpOrders);
  const customers = await bestCrowd(plain, pace, tell);
  const runs: Run[] = [];
  for (let run = 1; run <= pace.runs; run += 1) {
    const plains: Load[] = [];
    const traceds: Load[] = [];
    const alone: Walked[] = [];
    const crowded: Walked[] = [];
    for (let slice = 1; slice <= pace.slices; slice += 1) {
      const turns = [
        async () => void crowded.push(await walkFor(floor, customers, pace.floorS)),
        async () => void alone.push(await walkFor(floor, 1, pace.floorS)),
        async () => void plains.push(await loadFor(plain, customers, pace.sliceS)),
        async () => void traceds.push(await loadFor(traced, customers, pace.sliceS)),
      ];
      // In the other order every second time: what drifts favours nobody.
      for (const turn of slice % 2 === 1 ? turns : turns.reverse()) await turn();
    }
    const done: Run = {
      plain: { ...together(plains), residentMb: await memoryOf(plain) },
      traced: { ...together(traceds), residentMb: await memoryOf(traced) },
      loop: allOf(alone),
      loops: allOf(crowded),
    };
    runs.push(done);
    const rates = [done.plain, done.traced, done.loop, done.loops].map((each) => rateOf(each).toFixed(1));
    tell(
      `orders a second: ${rates[0]}, traced ${rates[1]}, the floor's ${rates[2]} by one loop, ${rates[3]} by ${customers}; run ${run} of ${pace.runs}`,
    );
  }
  return { throughput: throughputSection(runs, customers, pace), memory: memorySection(runs) };
}

function throughputSection(runs: readonly Run[], customers: number, { slices, sliceS }: Pace): Section {
  const plain = runs.map((run) => run.plain);
  const traced = runs.map((run) => run.traced);
  const loop = runs.map((run) => rateOf(run.loop));
  const loops = runs.map((run) => rateOf(run.loops));
  const over = (loads: readonly Load[], floor: readonly number[]) => figureOf(ratios(loads.map(rateOf), floor));
  const row = (name: string, loads: readonly Load[]) => [
    name,
    figure(figureOf(loads.map(rateOf)), 1),
    figure(figureOf(loads.map(({ mails, seconds }) => mails / seconds)), 1),
    figure(over(loads, loop), 3),
    figure(over(loads, loops), 3),
  ];
  return {
    name: 'throughput',
    title: 'Orders a second, everything on this machine',
    headlines: [
      { what: 'orders a second', figure: figureOf(plain.map(rateOf)), digits: 1 },
      {
        what: 'orders a second over the floor, back to back',
        figure: over(plain, loop),
        aim: { atLeast: 0.3 },
        digits: 3,
      },
      {
        what: `orders a second over the floor, ${customers} loops at once`,
        figure: over(plain, loops),
        aim: { atLeast: 0.3 },
        digits: 3,
      },
      {
        what: 'orders a second, traced at 5 % over not traced',
        figure: figureOf(ratios(traced.map(rateOf), plain.map(rateOf))),
        aim: { atLeast: 0.85 },
        digits: 2,
      },
    ],
    tables: [
      {
        columns: ['', 'orders a second', 'mails a second', 'over one loop', `over ${customers} loops`],
        rows: [
          ['floor, one loop back to back', figure(figureOf(loop), 1), '', '', ''],
          [`floor, ${customers} loops at once`, figure(figureOf(loops), 1), '', '', ''],
          row('platform', plain),
          row('platform, traced at 5 %', traced),
        ],
      },
      processorTable(plain, traced),
    ],
    notes: [
      `${customers} customers, each of whom orders again when the last order is confirmed. A run is ${slices} slices of ${sliceS} s for each platform, in turns with the floor; the other platform is idle meanwhile.`,
      `The floor: ${describeCounts(countsOf(wholeOrder))} for each order, by one loop and by ${customers} in one process. Under load the platform takes several events out of an outbox with one commit; the floor takes each by itself.`,
      'The second table has every process, servers and their children included; the customers are this command itself, on the same processors.',
    ],
  };
}

function processorTable(plain: readonly Load[], traced: readonly Load[]) {
  const names = [...(plain[0]?.processorS.keys() ?? [])];
  const msOf = (load: Load, name: string) => (1000 * (load.processorS.get(name) ?? 0)) / load.orders;
  const cells = (value: (load: Load) => number) =>
    [plain, traced].map((loads) => figure(figureOf(loads.map(value)), 1));
  return {
    columns: ['processor ms for each order', 'not traced', 'traced at 5 %'],
    rows: [
      ...names.map((name) => [name, ...cells((load) => msOf(load, name))]),
      ['in all', ...cells((load) => sum(names.map((name) => msOf(load, name))))],
    ],
  };
}

function memorySection(runs: readonly Run[]): Section {
  const platforms = [
    { loads: runs.map(({ plain }) => plain), title: 'not traced', atMost: 800 },
    { loads: runs.map(({ traced }) => traced), title: 'traced at 5 %', atMost: 1000 },
  ];
  const mb = (loads: readonly Run['plain'][], names: readonly string[]): Figure =>
    figureOf(loads.map(({ residentMb }) => sum(names.map((name) => residentMb.get(name) ?? 0))));
  const row = (title: string, names: readonly string[]) => [
    title,
    ...platforms.map(({ loads }) => figure(mb(loads, names), 0)),
  ];
  return {
    name: 'memory',
    title: 'Memory of the services after the load',
    headlines: platforms.map(({ loads, title, atMost }) => ({
      what: `the six services together, ${title}`,
      figure: mb(loads, allServices),
      aim: { atMost },
      digits: 0,
      unit: ' MB',
    })),
    tables: [
      {
        columns: ['resident MB', ...platforms.map(({ title }) => title)],
        rows: [...allServices.map((name) => row(name, [name])), row('the six together', allServices)],
      },
    ],
    notes: [
      `Resident memory (VmRSS) right after each run of (d), the middle of five looks; what processes share is counted for each. MB of 10⁶ bytes.`,
    ],
  };
}
