// A service whose clock is off by an hour, behind or ahead.
import { setTimeout as delay } from 'node:timers/promises';
import type { Scenario, Scene } from '../scenario.ts';
import { allServices } from '../world.ts';

const HOUR_MS = 3_600_000;
const WRONG_MS = 12_000;

async function restart({ world }: Scene, service: string): Promise<void> {
  for (const copy of world.copiesOf(service)) {
    await copy.stop();
    await copy.start();
  }
}

export const clockScenarios = allServices.map(
  (service): Scenario => ({
    name: `clock-${service}`,
    says: `The clock of ${service} is an hour behind, then an hour ahead; where tokens are looked at, they seem to have run out.`,
    async round(scene) {
      const { world, fault, tell } = scene;
      for (const [direction, offset] of [
        ['behind', -HOUR_MS],
        ['ahead', HOUR_MS],
      ] as const) {
        world.told.set(service, {
          NODE_OPTIONS: `--import=${new URL('../clock.ts', import.meta.url)}`,
          CLOCK_OFFSET_MS: String(offset),
        });
        fault(`the clock of ${service} is an hour ${direction}`);
        await restart(scene, service);
        await delay(WRONG_MS);
      }
      world.told.delete(service);
      await restart(scene, service);
      tell(`the clock of ${service} is right`);
    },
  }),
);
