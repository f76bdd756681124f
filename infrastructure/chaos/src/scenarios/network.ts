// The network between a service and its database or the broker: cut, slow, lossy, and connections that are dead without saying so.
import { setTimeout as delay } from 'node:timers/promises';
import type { TcpProxy } from '@glasshouse/shared/testing';
import type { Random } from '../random.ts';
import type { Scenario } from '../scenario.ts';
import { type Neighbour, type StatefulService, statefulServices } from '../world.ts';

interface Trouble {
  name: string;
  says: string;
  /** What happens to the connections of each copy. */
  make(link: TcpProxy, random: Random): void;
  ms: number;
}

const troubles: readonly Trouble[] = [
  { name: 'cut', says: 'is cut for 8 s, every connection at once', make: (link) => link.cut(), ms: 8_000 },
  { name: 'delay', says: 'takes 300 ms each way for 15 s', make: (link) => link.delay(300), ms: 15_000 },
  {
    name: 'loss',
    says: 'loses every tenth packet for 15 s',
    make: (link, random) => link.lose(0.1, random),
    ms: 15_000,
  },
  {
    name: 'half-open',
    says: 'loses every connection without either end being told',
    make: (link) => link.halfOpen(),
    ms: 20_000,
  },
];
const neighbours: readonly Neighbour[] = ['database', 'broker'];

/** Whoever keeps the books of the mails may be cut off between the mail server's 250 and its own commit. */
const mayRepeatMail = (service: StatefulService, neighbour: Neighbour) =>
  service === 'notification-service' && neighbour === 'database';

export const networkScenarios = troubles.flatMap(({ name, says, make, ms }) =>
  statefulServices.flatMap((service) =>
    neighbours.map(
      (neighbour): Scenario => ({
        name: `network-${name}-${service}-${neighbour}`,
        says: `The network between ${service} and its ${neighbour} ${says}.`,
        allows: { mailCopies: mayRepeatMail(service, neighbour) },
        async round({ world, random, fault, tell }) {
          const links = world.linksOf(service, neighbour);
          fault(`${service} and its ${neighbour}: ${name}`);
          for (const link of links) make(link, random);
          await delay(ms);
          for (const link of links) link.restore();
          tell('the network is as it should be');
          await delay(2_000);
        },
      }),
    ),
  ),
);
