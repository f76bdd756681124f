// Walks an ending in every order of arrival that causality allows: an order of its own for each.
//
// One service after the other is looked at. The other ones get what is for them as it comes. The service that is looked at gets its events only when
// nothing else can move, so that as many wait as can wait; each one that could come next is a way of its own to go on. What a person or the clock
// does to that service can come before or after any event, just the same.
import assert from 'node:assert/strict';
import type { EventOf, orderCancelled, orderCreated } from '@glasshouse/shared/contracts';
import { type Listener, listeners } from './matrix-books.ts';
import { DEADLINE, type Ending, type Seen, type Step } from './matrix-endings.ts';
import { listenersOf, type Told } from './matrix-network.ts';
import type { Delivery, OrderInHand, World } from './matrix-world.ts';

export const shortName = (service: Listener) => service.replace('-service', '') as keyof Ending['orders'];

/** An order on its way to its ending. */
export interface Walk {
  ending: Ending;
  order: OrderInHand;
  /** The service that is looked at, and what has reached it, in this order. */
  service: Listener;
  arrivals: string[];
  delivered: Delivery[];
  heard: { at: Listener; what: string }[];
  stepsLeft: Step[];
  isCharging: boolean;
}

/** What can happen next: an event or a step reaches a service. */
interface Move {
  what: string;
  at: Listener;
  isStep: boolean;
  make(): Promise<void>;
}

export const describe = ({ service, arrivals }: Pick<Walk, 'service' | 'arrivals'>) =>
  `${service} hears of ${arrivals.join(', then ')}`;

export interface Explored {
  /** Those that came to rest. */
  walks: Walk[];
  /** What kept the others from it. */
  failures: string[];
  /** How many orders the machine was too slow for: their deadline came first, and they were walked again. */
  overtaken: number;
}

/**
 * Walks an ending in all orders of arrival, and in some more than once where `isLong`.
 * @param isLong whether a walk has to wait for so long that many are begun before it is known how many there are to be
 */
export async function explore(world: World, ending: Ending, isLong = false): Promise<Explored> {
  const explored: Explored = { walks: [], failures: [], overtaken: 0 };
  await Promise.all(
    listeners.map(async (service) => {
      const ways = createWays();
      const running = new Set<Promise<void>>();
      const start = (way: readonly string[]) => {
        const walking = world.slots
          .withOne(() => walk(world, ending, service, way, choose, explored))
          .finally(() => running.delete(walking));
        running.add(walking);
      };
      const startOpen = () => {
        for (let way = ways.takeOpen(); way !== undefined; way = ways.takeOpen()) start(way);
      };
      const choose: Choose = (arrivals, options) => {
        const chosen = ways.choose(arrivals, options);
        if (!isLong) startOpen();
        return chosen;
      };
      for (let count = isLong ? ending.orders[shortName(service)] : 1; count > 0; count -= 1) start([]);
      while (running.size > 0) {
        await Promise.all(running);
        startOpen();
      }
    }),
  );
  return explored;
}

/** What comes next at the service that is looked at: one of `options`, after all that has arrived. */
type Choose = (arrivals: readonly string[], options: readonly string[]) => string;

/** The ways that are known so far: after what has arrived, what can come next, and how many walks have taken it. */
function createWays() {
  const nodes = new Map<string, { arrivals: readonly string[]; taken: Map<string, number> }>();
  return {
    /** Somewhere nobody has gone yet, or where the fewest have. */
    choose(arrivals: readonly string[], options: readonly string[]): string {
      const key = arrivals.join();
      const node = nodes.get(key) ?? { arrivals, taken: new Map(options.map((option) => [option, 0])) };
      nodes.set(key, node);
      assert.deepEqual(options, [...node.taken.keys()], `what can come after ${key} is not the same each time`);
      const [least] = [...node.taken].sort(([, a], [, b]) => a - b);
      assert.ok(least !== undefined);
      node.taken.set(least[0], least[1] + 1);
      return least[0];
    },
    takeOpen(): string[] | undefined {
      for (const { arrivals, taken } of nodes.values())
        for (const [option, count] of taken)
          if (count === 0) {
            taken.set(option, 1);
            return [...arrivals, option];
          }
      return undefined;
    },
  };
}

/**
 * Walks once.
 * @param way what is to reach the service first, one after the other; then `choose` decides
 */
async function walk(
  world: World,
  ending: Ending,
  service: Listener,
  way: readonly string[],
  choose: Choose,
  explored: Explored,
): Promise<void> {
  const arrivals: string[] = [];
  try {
    const order = await world.placeOrder(ending);
    const begun: Walk = {
      ending,
      order,
      service,
      arrivals,
      delivered: [],
      heard: [],
      stepsLeft: [...(ending.steps ?? [])],
      isCharging: false,
    };
    await goOn(world, begun, (before, options) => way[before.length] ?? choose(before, options));
    const isToBeRepeated = isOvertaken(world, begun);
    if (isToBeRepeated) await bringToAnEnd(world, begun);
    // Once more when all is over, the last ones first.
    for (const { told, to } of begun.delivered.toReversed()) if (to === service) world.network.deliverAgain(told, to);
    world.underWay.delete(order);
    if (!isToBeRepeated) return void explored.walks.push(begun);
  } catch (error) {
    return void explored.failures.push(`${describe({ service, arrivals })}: ${(error as Error).message}`);
  }
  explored.overtaken += 1;
  await walk(world, ending, service, arrivals, choose, explored);
}

/** Whether the deadline has come, or is about to, while nobody waits for it: the machine was too slow. */
function isOvertaken({ network }: World, { order, heard }: Walk): boolean {
  const { payBy, decision } = fateOf(network.toldOf(order.id));
  const isOver = decision === undefined ? payBy < Date.now() : decision === 'timeout';
  return isOver && !heard.some(({ what }) => what === DEADLINE);
}

/** What order-service has told of its decision: `confirmed`, or why it has cancelled. */
function fateOf(told: readonly Told[]): { payBy: number; decision: string | undefined } {
  let payBy = Number.POSITIVE_INFINITY;
  let decision: string | undefined;
  for (const { event } of told) {
    if (event.type === 'order.created') payBy = Date.parse((event as EventOf<typeof orderCreated>).data.payBy);
    if (event.type === 'order.confirmed') decision = 'confirmed';
    if (event.type === 'order.cancelled') decision = (event as EventOf<typeof orderCancelled>).data.cancelReason;
  }
  return { payBy, decision };
}

/** Lets an order that was overtaken come to an end that the auditor is content with. */
async function bringToAnEnd(world: World, { order, ...walk }: Walk): Promise<void> {
  await order.endMoods();
  const { mustWait: _, leavesOpen: __, ...ending } = walk.ending;
  const heard = [...walk.heard, { at: 'order-service', what: DEADLINE } as const];
  const rest = { ...walk, order, ending, heard, arrivals: [], stepsLeft: [] };
  await goOn(world, rest, asItComes);
  if (fateOf(world.network.toldOf(order.id)).decision !== undefined) return;
  await order.waitForDeadline();
  await goOn(world, rest, asItComes);
}

const asItComes: Choose = (_arrivals, [first]) => first ?? '';

/** What comes after the ending: a person mends what has gone wrong. Everything arrives as it comes. */
export async function repair(world: World, walk: Walk, step: Step): Promise<void> {
  const before = walk.delivered.length;
  walk.stepsLeft = [step];
  await goOn(world, walk, asItComes);
  for (const { told, to } of walk.delivered.slice(before)) world.network.deliverAgain(told, to);
}

/** Lets things happen until nothing more can, or the deadline overtakes the order. */
async function goOn(world: World, walk: Walk, choose: Choose): Promise<void> {
  let services: readonly Listener[] = listeners;
  for (let seen = walk.delivered.length; ; ) {
    const news = walk.delivered.slice(seen);
    seen = walk.delivered.length;
    const leavesOpen = walk.ending.leavesOpen?.(seenOf(world, walk)) ?? false;
    const isCharging = await world.settled(walk.order.id, news, services, leavesOpen);
    if (services.includes('payment-service')) walk.isCharging = isCharging;
    if (isOvertaken(world, walk)) return;

    const moves = nextMoves(walk, possibleMoves(world, walk), choose);
    if (moves.length === 0) break;
    for (const move of moves) await move.make();
    services = moves.map(({ at }) => at);
  }
  const never = [
    ...walk.stepsLeft.map(({ label }) => label),
    ...waitingFor(world, walk).map(({ told }) => told.event.type),
  ];
  assert.deepEqual(never, [], 'nothing happens any more, and these were never possible');
}

/** What happens now: what the other services wait for, then what somebody does to them, then one thing to the service that is looked at. */
function nextMoves(walk: Walk, possible: readonly Move[], choose: Choose): Move[] {
  const elsewhere = possible.filter(({ at }) => at !== walk.service);
  const events = elsewhere.filter(({ isStep }) => !isStep);
  // Services do not wait for each other; each gets its events one after the other.
  if (events.length > 0) return listeners.flatMap((service) => events.find(({ at }) => at === service) ?? []);
  if (elsewhere.length > 0) return elsewhere;
  const here = possible.filter(({ at }) => at === walk.service);
  if (here.length === 0) return [];
  const options = [...new Set(here.map(({ what }) => what))].sort();
  const chosen = choose([...walk.arrivals], options);
  const move = here.find(({ what }) => what === chosen);
  assert.ok(move !== undefined, `${chosen} can't come next, but ${options.join(' or ')}`);
  walk.arrivals.push(chosen);
  return [move];
}

function seenOf({ network }: World, { order, heard, isCharging }: Walk): Seen {
  const told = new Set(network.toldOf(order.id).map(({ event }) => event.type));
  return {
    told: (type) => told.has(type),
    heard: (at, what) => heard.some((one) => one.at === at && one.what === what),
    isCharging,
  };
}

/** The events that a service has not been given yet. */
function waitingFor({ network }: World, { order, delivered }: Walk): Delivery[] {
  return network
    .toldOf(order.id)
    .flatMap((told) => listenersOf(told.event).map((to) => ({ told, to })))
    .filter(({ told, to }) => !delivered.some((one) => one.told === told && one.to === to));
}

function possibleMoves(world: World, walk: Walk): Move[] {
  const { ending, order, delivered, heard, stepsLeft } = walk;
  const seen = seenOf(world, walk);
  const waiting = waitingFor(world, walk).filter(({ told, to }) => !ending.mustWait?.(told.event.type, to, seen));
  const events = waiting.map(({ told, to }): Move => {
    const what = told.event.type;
    return {
      what,
      at: to,
      isStep: false,
      async make() {
        heard.push({ at: to, what });
        delivered.push({ told, to });
        // At once, so that two copies of the service, or two of its transactions, have it in hand at the same moment.
        world.network.deliver(told, to);
      },
    };
  });
  const [step] = stepsLeft;
  if (step === undefined || !step.when(seen)) return events;
  return [
    ...events,
    {
      what: step.label,
      at: step.at,
      isStep: true,
      async make() {
        await step.run(order);
        heard.push({ at: step.at, what: step.label });
        stepsLeft.shift();
      },
    },
  ];
}
