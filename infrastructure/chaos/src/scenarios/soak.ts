// Half an hour of orders and nothing else: no process may keep more and more.
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { allServices } from '../world.ts';

const SOAK_MS = 30 * 60_000;
/** Before it a process has not yet seen everything that it will keep: code, connections, prepared statements. */
const WARM_UP_MS = SOAK_MS / 3;
const MAY_GROW_MB = 10;
/** For the memory to be given back, which is done in the background. */
const GIVES_BACK_MS = 2_000;

/** What a process is told that is to be weighed. */
export const WEIGHABLE = { NODE_OPTIONS: `--import=${new URL('../collect-garbage.ts', import.meta.url)}` };

/**
 * What processes keep: their resident memory once they have let go of the rest, in megabytes. Otherwise it says how much memory there was for them,
 * not how much they need: with plenty of it, garbage is left lying about.
 */
export async function weigh(pids: readonly number[]): Promise<number[]> {
  for (const pid of pids) process.kill(pid, 'SIGUSR2');
  await delay(GIVES_BACK_MS);
  return pids.map((pid) => Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024);
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
    const pids = copies.map(({ name, pid }) => {
      const running = pid();
      if (running === undefined) throw new Error(`${name} is not running`);
      return running;
    });
    await delay(WARM_UP_MS);
    const warm = await weigh(pids);
    await delay(SOAK_MS - WARM_UP_MS);
    const last = await weigh(pids);
    for (const [index, { name }] of copies.entries()) {
      const [warmMb = 0, lastMb = 0] = [warm[index], last[index]];
      tell(`${name}: ${warmMb.toFixed(0)} MB when warm, ${lastMb.toFixed(0)} MB at the end`);
      if (hasGrown(warmMb, lastMb)) complain(`${name} has grown from ${warmMb.toFixed(0)} to ${lastMb.toFixed(0)} MB`);
    }
    for (const service of allServices) world.told.delete(service);
  },
};
