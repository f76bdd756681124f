// Half an hour of orders and nothing else: no process may keep more and more.
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { allServices } from '../world.ts';

const SOAK_MS = 30 * 60_000;
/** Before it a process has not yet seen everything that it will keep: code, connections, prepared statements. */
const WARM_UP_MS = SOAK_MS / 3;
const MAY_GROW_MB = 10;
/** For the garbage to be collected, and the memory to be given back, which is done in the background. */
const LOOK_AFTER_MS = 2_000;
const LOOKS = 3;

/** What a process is told that is to be weighed: it listens to SIGUSR2. */
export const WEIGHABLE = { NODE_OPTIONS: `--import=${new URL('../collect-garbage.ts', import.meta.url)}` };

/**
 * What a process keeps: its resident memory once it has let go of the rest, in megabytes. Otherwise it says how much memory there was for the
 * process, not how much it needs: with plenty of it, garbage is left lying about.
 */
export async function weigh(pid: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < LOOKS; look += 1) {
    process.kill(pid, 'SIGUSR2');
    await delay(LOOK_AFTER_MS);
    least = Math.min(least, Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024);
  }
  return least;
}

export const hasGrown = (warmMb: number, lastMb: number): boolean => lastMb > warmMb + MAY_GROW_MB;

export const soak: Scenario = {
  name: 'soak',
  says: 'Nothing is broken for 30 minutes of orders, and no process keeps more at the end than after ten.',
  allows: { serverErrors: false },
  isOnRequest: true,
  async round({ world, tell, complain }) {
    const copies = allServices.flatMap((service) => world.copiesOf(service));
    for (const service of allServices) world.told.set(service, WEIGHABLE);
    for (const copy of copies) {
      await copy.stop();
      await copy.start();
    }
    const pidsAtFirst = new Map(copies.map(({ name, pid }) => [name, pid()]));
    /** By name; one that has ended meanwhile is told of elsewhere. */
    const weighAll = async () => {
      const weights = copies.map(async ({ name, pid }): Promise<[string, number][]> => {
        const running = pid();
        if (running === undefined || running !== pidsAtFirst.get(name)) return [];
        const weight = await weigh(running).catch(() => 0);
        return weight > 0 ? [[name, weight]] : [];
      });
      return new Map((await Promise.all(weights)).flat());
    };
    await delay(WARM_UP_MS);
    const warm = await weighAll();
    await delay(SOAK_MS - WARM_UP_MS);
    const last = await weighAll();
    for (const [name, warmMb] of warm) {
      const lastMb = last.get(name);
      if (lastMb === undefined) continue;
      tell(`${name}: ${warmMb.toFixed(0)} MB when warm, ${lastMb.toFixed(0)} MB at the end`);
      if (hasGrown(warmMb, lastMb)) complain(`${name} has grown from ${warmMb.toFixed(0)} to ${lastMb.toFixed(0)} MB`);
    }
    for (const service of allServices) world.told.delete(service);
  },
};
