// Half an hour of orders and nothing else: no process may grow.
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { allServices } from '../world.ts';

const SOAK_MS = 30 * 60_000;
const LOOK_INTERVAL_MS = 10_000;
/** Before it a process has not yet seen everything that it will keep: code, connections, prepared statements. */
const WARM_SHARE = 1 / 3;
/** The last part of the samples is held against as many after the warm-up. */
const PART_SHARE = 1 / 6;
const GROWTH = { share: 0.1, mb: 10 };

/** Resident memory, in megabytes. */
const memoryOf = (pid: number): number =>
  Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** What a process weighs after its warm-up, and at the end, in megabytes. */
export function growthOf(samples: readonly number[]): { warm: number; last: number; hasGrown: boolean } {
  const part = Math.max(1, Math.floor(samples.length * PART_SHARE));
  const begin = Math.floor(samples.length * WARM_SHARE);
  const warm = median(samples.slice(begin, begin + part));
  const last = median(samples.slice(-part));
  return { warm, last, hasGrown: last > warm * (1 + GROWTH.share) + GROWTH.mb };
}

export const soak: Scenario = {
  name: 'soak',
  says: 'Nothing is broken for 30 minutes of orders, and no process grows.',
  allows: { serverErrors: false },
  isOnRequest: true,
  async round({ world, tell, complain }) {
    const samples = new Map<string, number[]>();
    const endsAt = performance.now() + SOAK_MS;
    while (performance.now() < endsAt) {
      for (const { name, pid } of allServices.flatMap((service) => world.copiesOf(service))) {
        const running = pid();
        if (running !== undefined) samples.set(name, [...(samples.get(name) ?? []), memoryOf(running)]);
      }
      await delay(LOOK_INTERVAL_MS);
    }
    for (const [name, each] of samples) {
      const { warm, last, hasGrown } = growthOf(each);
      tell(`${name}: ${warm.toFixed(0)} MB when warm, ${last.toFixed(0)} MB at the end`);
      if (hasGrown) complain(`${name} has grown from ${warm.toFixed(0)} to ${last.toFixed(0)} MB`);
    }
  },
};
