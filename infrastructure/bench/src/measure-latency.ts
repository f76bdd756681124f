// (c) How long an order takes from the request to its confirmation, one at a time, over the bare floor of its critical path.
import { setTimeout as delay } from 'node:timers/promises';
import type { Floor } from './floor.ts';
import { countsOf, criticalPath, describeCounts } from './order-path.ts';
import { figure, type Section } from './report.ts';
import type { Shop } from './shop.ts';
import { figureOf, quantile, ratios } from './statistics.ts';

/** After a confirmation the sale and the mail are still on their way: what comes next would meet them. */
const PAUSE_MS = 40;

interface Milliseconds {
  /** From sending the request to the time of `order.confirmed` in the order's timeline. */
  orders: number[];
  floors: number[];
}

/** An order and its floor in turns, so many of each. */
async function inTurns(shop: Shop, floor: Floor, times: number): Promise<Milliseconds> {
  const sent = new Map<string, number>();
  const floors: number[] = [];
  for (let time = 0; time < times; time += 1) {
    floors.push(await floor.walk(criticalPath));
    await delay(PAUSE_MS);
    const { id, sentAt } = await shop.place(time);
    await shop.confirmed(id);
    sent.set(id, sentAt);
    await delay(PAUSE_MS);
  }
  const confirmed = await shop.confirmationTimes([...sent.keys()]);
  const orders = [...sent].map(([id, sentAt]) => {
    const time = confirmed.get(id);
    if (time === undefined) throw new Error(`order ${id} has no confirmation in its timeline`);
    return time - sentAt;
  });
  return { orders, floors };
}

export async function measureLatency(
  shop: Shop,
  floor: Floor,
  { runs, ordersEach, tell }: { runs: number; ordersEach: number; tell: (line: string) => void },
): Promise<Section> {
  const p50: number[] = [];
  const p99: number[] = [];
  const floorP50: number[] = [];
  const floorP99: number[] = [];
  await inTurns(shop, floor, 20);
  for (let run = 1; run <= runs; run += 1) {
    tell(`latency of an order: run ${run} of ${runs}`);
    const { orders, floors } = await inTurns(shop, floor, ordersEach);
    p50.push(quantile(orders, 0.5));
    p99.push(quantile(orders, 0.99));
    floorP50.push(quantile(floors, 0.5));
    floorP99.push(quantile(floors, 0.99));
  }
  const over = figureOf(ratios(p50, floorP50));
  return {
    name: 'latency',
    title: 'An order, from the request to its confirmation',
    headlines: [{ what: 'latency of an order over the floor, p50', figure: over, aim: { atMost: 3 }, digits: 2 }],
    tables: [
      {
        columns: ['', 'order, ms', 'floor, ms', 'order ÷ floor'],
        rows: [
          ['p50', figure(figureOf(p50), 1), figure(figureOf(floorP50), 1), figure(over, 2)],
          ['p99', figure(figureOf(p99), 1), figure(figureOf(floorP99), 1), figure(figureOf(ratios(p99, floorP99)), 2)],
        ],
      },
    ],
    notes: [
      `${ordersEach} orders a run, one at a time, in turns with the floor, each to the time of \`order.confirmed\` in its timeline, to the millisecond.`,
      `The floor: ${describeCounts(countsOf(criticalPath))}, one after the other, and the beginning of the transaction that confirms.`,
    ],
  };
}
