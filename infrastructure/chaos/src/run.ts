// One scenario from the first order to the verdict: orders flow, something breaks, it is mended, everything comes to rest, and all books are held
// against each other and against the customers' own record.
import { setTimeout as delay } from 'node:timers/promises';
import { type Audit, audit, loadConfig } from '@glasshouse/auditor';
import { readMailbox } from '@glasshouse/local/mailbox';
import { goShopping, type Shopping } from './customers.ts';
import { createRandom } from './random.ts';
import { refusals } from './record.ts';
import type { Progress } from './report.ts';
import type { Scenario, Scene } from './scenario.ts';
import { type Books, judge, type Verdict } from './verdict.ts';
import { allServices, type World } from './world.ts';

export interface Result {
  scenario: string;
  faults: number;
  verdict: Verdict;
  refused: ReturnType<typeof refusals>;
  audited: Audit;
  /** What is wrong, by the customers' record, the auditor and the scenario itself, in words. */
  violations: string[];
}

/** Of the orders, the share that is sent before the first fault, and before the last one at the latest. */
const LEAD_SHARE = 0.1;
const LAST_ROUND_SHARE = 0.75;
/** How long nothing is broken after a round, as a share of the round. */
const PAUSE_SHARE = 0.5;
/** How long an order may take after everything is mended: its own deadline and as long again. */
const SETTLE_MS = 240_000;
const READY_MS = 60_000;

/**
 * @param options.orders how many are placed, at least: they go on for as long as something is broken
 * @throws where the platform can't be asked any more
 */
export async function runScenario(
  world: World,
  scenario: Scenario,
  options: { orders: number; rate: number; seed: string; graceS: number; progress: Pick<Progress, 'tell' | 'follow'> },
): Promise<Result> {
  const { orders, rate, seed, graceS, progress } = options;
  const { tell } = progress;
  const since = new Date();
  const random = createRandom(`${seed}/${scenario.name}`);
  world.endedByItself.length = 0;
  const shopping = await goShopping({
    gatewayUrls: world.gatewayUrls,
    orders,
    rate,
    seed: `${seed}/${scenario.name}`,
  });
  progress.follow(shopping);
  const violations: string[] = [];
  let faults = 0;
  const scene: Scene = {
    world,
    random,
    shopping,
    orders,
    fault(what) {
      faults += 1;
      tell(what);
    },
    tell,
    complain: (what) => violations.push(what),
  };

  let faultEndedAt: number;
  try {
    await shopping.sent(orders * LEAD_SHARE);
    for (;;) {
      const roundBegunAt = performance.now();
      await scenario.round(scene);
      if (shopping.progress().sent >= orders * LAST_ROUND_SHARE) break;
      // Nobody's outages follow on each other's heels: an order has to be decided within its deadline.
      await delay((performance.now() - roundBegunAt) * PAUSE_SHARE);
    }
    faultEndedAt = Date.now();
    tell('mended');
    await shopping.sent(Math.max(orders, shopping.progress().sent + orders * LEAD_SHARE));
    await shopping.end();
    violations.push(...(await readiness(world)));
    await untilFinal(shopping);
  } catch (error) {
    shopping.abandon();
    throw error;
  }

  tell('the auditor looks');
  const audited = await audit(loadConfig({ ...world.platform.auditEnv }), { graceS });
  const books = await readBooks(world, shopping, since, faultEndedAt);
  const allows = { serverErrors: true, mailCopies: false, ...scenario.allows };
  const verdict = judge(shopping.record, books, allows);
  return {
    scenario: scenario.name,
    faults,
    verdict,
    refused: refusals(shopping.record),
    audited,
    violations: [
      ...violations,
      ...world.endedByItself,
      ...verdict.violations,
      ...(audited.quiet?.reached === false
        ? audited.quiet.look.underWay.map((what) => `still under way: ${what}`)
        : []),
      ...audited.equations.flatMap(({ id, findings }) =>
        findings.map((finding) => `(${id}) ${finding.id} ${finding.problem}`),
      ),
    ],
  };
}

/** No process needs a person: all are ready again by themselves. */
async function readiness({ platform }: World): Promise<string[]> {
  const urls = allServices.flatMap((service) => platform.urls[service] ?? []);
  const givesUpAt = performance.now() + READY_MS;
  const look = async (url: string): Promise<string[]> => {
    for (;;) {
      const response = await fetch(`${url}/ready`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
      const body = await response?.text().catch(() => undefined);
      if (response?.ok) return [];
      if (performance.now() > givesUpAt) return [`${url} is not ready: ${body ?? 'no answer'}`];
      await delay(250);
    }
  };
  return (await Promise.all(urls.map(look))).flat();
}

async function untilFinal(shopping: Shopping): Promise<void> {
  const givesUpAt = performance.now() + SETTLE_MS;
  for (let customer = 0; customer < shopping.customers(); customer += 1)
    while (performance.now() < givesUpAt && (await shopping.ordersOf(customer, 'pending')).length > 0) await delay(250);
}

async function readBooks(world: World, shopping: Shopping, since: Date, faultEndedAt: number): Promise<Books> {
  const [orders, charges, mails, products] = await Promise.all([
    Promise.all(Array.from({ length: shopping.customers() }, (_, customer) => shopping.ordersOf(customer))),
    world.provider.ledger(),
    readMailbox(world.platform.mailDir, since),
    Promise.all(
      shopping.products.map(async ({ id, stock }) => ({
        id,
        stockAtFirst: stock,
        stockNow: await shopping.stockOf(id),
      })),
    ),
  ]);
  return { orders, charges, messageIds: mails.map(({ messageId }) => messageId), products, faultEndedAt };
}
