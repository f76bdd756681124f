// Processes that die, are restarted, or hang.
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { send } from '@glasshouse/local/processes';
import type { SupervisedProcess } from '@glasshouse/local/supervisor';
import type { Scenario, Scene } from '../scenario.ts';
import { allServices } from '../world.ts';

const HANG_MS = 20_000;
/** Who sends mail, or keeps the books of it, may die between the mail server's 250 and its own commit. */
const mayRepeatMail = (name: string) => ({ mailCopies: name === 'notification-service' });

/** A process and all that it has started, as numbers. */
function familyOf(pid: number): number[] {
  const rows = execFileSync('ps', ['-axo', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  const parents = new Map(rows.map((row) => row.trim().split(/\s+/).map(Number) as [number, number]));
  const family = [pid];
  // It grows while it is read: children of children are in it, too.
  for (const member of family) for (const [child, parent] of parents) if (parent === member) family.push(child);
  return family;
}

/** Nothing of it runs meanwhile, and it does not know. */
async function hang({ fault, tell }: Scene, one: SupervisedProcess, ms: number): Promise<void> {
  const pid = one.pid();
  if (pid === undefined) throw new Error(`${one.name} is not running`);
  const family = familyOf(pid);
  fault(`${one.name} hangs`);
  try {
    for (const member of family) send(member, 'SIGSTOP');
    await delay(ms);
  } finally {
    for (const member of family) send(member, 'SIGCONT');
  }
  tell(`${one.name} goes on`);
}

const kills = allServices.map(
  (service): Scenario => ({
    name: `kill-${service}`,
    says: `Copies of ${service} are killed (SIGKILL) and started again, over and over, sometimes both at once.`,
    allows: mayRepeatMail(service),
    async round({ world, random, fault, tell }) {
      const copies = world.copiesOf(service);
      const chosen = random() < 0.2 ? copies : [random.pick(copies)];
      for (const { name } of chosen) fault(`${name} is killed`);
      await Promise.all(chosen.map((copy) => copy.kill()));
      await delay(random.between(0, 1_500));
      tell(`${service} is started`);
      await Promise.all(chosen.map((copy) => copy.start()));
      await delay(random.between(500, 2_500));
    },
  }),
);

const rollingRestart: Scenario = {
  name: 'rolling-restart',
  says: 'Every copy of every service is stopped (SIGTERM) and started again, one after the other: no customer sees an error.',
  allows: { serverErrors: false },
  async round({ world, fault }) {
    for (const service of allServices)
      for (const copy of world.copiesOf(service)) {
        fault(`${copy.name} is restarted`);
        await copy.stop();
        await copy.start();
      }
  },
};

const hangs = allServices.map(
  (service): Scenario => ({
    name: `hang-${service}`,
    says: `A copy of ${service} hangs for 20 s (SIGSTOP), then goes on as if nothing had happened.`,
    allows: mayRepeatMail(service),
    round: (scene) => hang(scene, scene.random.pick(scene.world.copiesOf(service)), HANG_MS),
  }),
);

const servers = { postgres: false, mongo: true, rabbitmq: false, 'payment-simulator': false, 'mail-server': true };
const serverHangs = Object.entries(servers).map(
  ([name, mailCopies]): Scenario => ({
    name: `hang-${name}`,
    says: `${name} hangs for 20 s (SIGSTOP), with all of its processes.`,
    allows: { mailCopies },
    round: (scene) => hang(scene, scene.world.process(name), HANG_MS),
  }),
);

export const processScenarios = [...kills, rollingRestart, ...hangs, ...serverHangs];
