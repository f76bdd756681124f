// (f) How the cost of reading the catalogue and of placing an order grows with what is there: a small shop and a large one, asked in turns.
import { setTimeout as delay } from 'node:timers/promises';
import type { Platform } from '@glasshouse/local/platform';
import type { Wanted } from './arguments.ts';
import { fillCatalogue, fillOrders } from './fill.ts';
import { describeServers } from './machine.ts';
import { figure, type Section } from './report.ts';
import { call, openShop, type Shop } from './shop.ts';
import { type Figure, figureOf, median, ratios } from './statistics.ts';
import { SECOND_PLATFORM, type Workshop } from './workshop.ts';

interface Size {
  products: number;
  orders: number;
}

interface Branch {
  platform: Platform;
  shop: Shop;
}

/** @returns milliseconds */
type Act = (branch: Branch) => Promise<number>;

/** Between two orders, for what the last one has set going. */
const PAUSE_MS = 40;
const CUSTOMERS = 4;

const read =
  (query: string): Act =>
  async ({ platform }) => {
    const startedAt = performance.now();
    const { status, body } = await call(platform.gatewayUrl, 'GET', `/api/v1/products?${query}`);
    const ms = performance.now() - startedAt;
    if (status !== 200 || body.items.length === 0)
      throw new Error(`${query}: ${status} with ${body.items?.length} products`);
    return ms;
  };

const placeOrder: Act = async ({ shop }) => {
  const { id, answeredAfterMs } = await shop.place(0);
  await shop.confirmed(id);
  await delay(PAUSE_MS);
  return answeredAfterMs;
};

const acts = [
  { what: 'the first page of the catalogue', by: 'products', act: read('limit=20'), share: 1 },
  { what: 'a search for one word', by: 'products', act: read('search=oak&limit=20'), share: 1 },
  { what: 'a search for two words', by: 'products', act: read('search=oak+table&limit=20'), share: 1 },
  // Each has to be confirmed before the next.
  { what: 'an order, until it is answered', by: 'orders', act: placeOrder, share: 0.3 },
] as const;

async function openBranch(workshop: Workshop, name: string, portOffset: number, size: Size): Promise<Branch> {
  const { log } = workshop;
  log(`a ${name} shop, with ${text(size, 'products')} and ${text(size, 'orders')}`);
  const platform = await workshop.startPlatform({ name, portOffset });
  const filledFrom = performance.now();
  await fillCatalogue(platform, size.products);
  await fillOrders(platform, size.orders);
  log(`filled in ${((performance.now() - filledFrom) / 1000).toFixed(0)} s`);
  return { platform, shop: await openShop(platform, CUSTOMERS) };
}

/** The two in turns, `times` each; the median of each. */
async function compare(act: Act, small: Branch, large: Branch, times: number): Promise<[number, number]> {
  const took: [number[], number[]] = [[], []];
  for (let time = 0; time < times; time += 1) {
    took[0].push(await act(small));
    took[1].push(await act(large));
  }
  return [median(took[0]), median(took[1])];
}

export async function measureGrowth(
  workshop: Workshop,
  { isQuick, portOffset, runs = isQuick ? 2 : 5 }: Wanted,
  tell: (line: string) => void,
): Promise<Section[]> {
  const few: Size = { products: 1_000, orders: 1_000 };
  const many: Size = isQuick ? { products: 10_000, orders: 100_000 } : { products: 100_000, orders: 1_000_000 };
  const timesEach = isQuick ? 50 : 200;
  const small = await openBranch(workshop, 'small', portOffset, few);
  const large = await openBranch(workshop, 'large', portOffset + SECOND_PLATFORM, many);
  try {
    const rows: { what: string; by: keyof Size; small: Figure; large: Figure; growth: Figure }[] = [];
    for (const { what, by, act, share } of acts) {
      const times = Math.ceil(timesEach * share);
      const medians: [number, number][] = [];
      await compare(act, small, large, times);
      for (let run = 1; run <= runs; run += 1) {
        tell(`${what}: run ${run} of ${runs}`);
        // Who comes first changes from run to run.
        if (run % 2 === 1) medians.push(await compare(act, small, large, times));
        else medians.push((await compare(act, large, small, times)).toReversed() as [number, number]);
      }
      const smalls = medians.map(([one]) => one);
      const larges = medians.map(([, other]) => other);
      rows.push({
        what,
        by,
        small: figureOf(smalls),
        large: figureOf(larges),
        growth: figureOf(ratios(larges, smalls)),
      });
    }
    return [
      {
        name: 'growth',
        title: 'How cost grows with what is there',
        servers: await describeServers(large.platform),
        headlines: rows.map(({ what, by, growth }) => ({
          what: `${what}: ${text(many, by)} over ${text(few, by)}`,
          figure: growth,
          aim: { atMost: 1.5 },
          digits: 2,
        })),
        tables: [
          {
            columns: [
              'ms, through the gateway',
              `${text(few, 'products')}, ${text(few, 'orders')}`,
              `${text(many, 'products')}, ${text(many, 'orders')}`,
              'growth',
            ],
            rows: rows.map((row) => [row.what, figure(row.small, 1), figure(row.large, 1), figure(row.growth, 2)]),
          },
        ],
        notes: [
          `Two whole platforms on one machine, asked in turns, one request at a time; the median of ${timesEach} requests a run (${Math.ceil(timesEach * 0.3)} orders).`,
          'Filled are the catalogue with its price list, and what order-service keeps of an order: items, four timeline entries, idempotency key, and the inbox of seven days. The other services begin empty.',
          'An order is placed when the last one is confirmed.',
        ],
      },
    ];
  } finally {
    await small.shop.close().catch(() => {});
    await large.shop.close().catch(() => {});
  }
}

const text = (size: Size, by: keyof Size) => `${size[by].toLocaleString('en')} ${by}`;
