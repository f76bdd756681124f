// The saga matrix as tests: each ending in every order of arrival, each event twice at once and once more at the end, and the auditor after each.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '@glasshouse/shared/testing';
import { type Audit, audit, loadConfig } from '../../infrastructure/auditor/src/index.ts';
import { readMailbox } from '../../infrastructure/local/src/mailbox.ts';
import { type Ending, endings, type Outcome, timeOuts } from './matrix-endings.ts';
import { differenceFrom } from './matrix-state.ts';
import { describe, explore, repair, shortName, type Walk } from './matrix-walk.ts';
import { createWorld, type World } from './matrix-world.ts';

/** Shown of many that are alike. */
const MOST_SHOWN = 3;
/** How long the broker may take to say that its queues are empty, and the orders under way to make room for a look. */
const CLEAN_WITHIN_MS = 120_000;
const LOOK_AGAIN_MS = 400;

const ordersOf = ({ orders }: Ending) => Object.values(orders).reduce((sum, count) => sum + count, 0);

/**
 * @param name how many copies of each service there are, in words
 * @param portOffset as `startTestPlatform` has it
 */
export function testMatrix({ name, copies, portOffset }: { name: string; copies: number; portOffset: number }): void {
  let world: World;
  /** Those that have to wait for the deadline are begun before the others. */
  const begun = new Map<Ending, ReturnType<typeof explore>>();
  const ended: { walk: Walk; outcome: Outcome }[] = [];

  before(async () => {
    world = await createWorld({ copies, portOffset });
    for (const ending of timeOuts) begun.set(ending, explore(world, ending, true));
  });
  after(async () => {
    await world?.stop();
  });

  for (const ending of [...endings, ...timeOuts]) {
    test(`${name}: ${ending.name}: ${ordersOf(ending)} orders of arrival, each event twice`, async (t) => {
      const { walks, failures, overtaken } = await (begun.get(ending) ?? explore(world, ending));
      if (overtaken > 0) t.diagnostic(`${overtaken} orders met their deadline by accident and were walked again`);
      assertNone(failures, walks);
      await assertOutcome(ending.outcome, walks);
      assert.deepEqual(countOrders(walks), ending.orders);

      const { finding, step, outcome = ending.outcome }: Partial<NonNullable<Ending['repair']>> = ending.repair ?? {};
      if (finding !== undefined && step !== undefined) {
        await assertAudit(walks.map(({ order }) => `(${finding}) order ${order.id}`));
        await Promise.all(walks.map((walk) => world.slots.withOne(() => repair(world, walk, step))));
        await assertOutcome(outcome, walks);
      }
      await assertAudit([]);
      ended.push(...walks.map((walk) => ({ walk, outcome })));
    });
  }

  test(`${name}: when all is quiet, every order is as it ended, nobody got a mail twice, and the auditor finds nothing`, async () => {
    const result = await audit(loadConfig(world.platform.auditEnv));
    assert.deepEqual(result.quiet?.look.underWay, []);
    assert.deepEqual(await findingsOf(result), []);
    for (const [outcome, group] of Map.groupBy(ended, (one) => one.outcome))
      await assertOutcome(
        outcome,
        group.map(({ walk }) => walk),
      );
    const ids = (await readMailbox(world.platform.mailDir)).map(({ messageId }) => messageId);
    assert.deepEqual(ids, [...new Set(ids)]);
  });

  /** Every walk has led to the outcome, and no service has stumbled on the way. */
  async function assertOutcome(outcome: Outcome, walks: readonly Walk[]): Promise<void> {
    const ledger = await world.provider.ledger();
    const wrong = await Promise.all(
      walks.map(async (walk) => {
        const difference = await differenceFrom(outcome, world, walk, ledger);
        const problems = [...(difference === undefined ? [] : [difference]), ...world.network.faultsOf(walk.order.id)];
        // What the auditor has to say to it is said with this.
        if (problems.length > 0) world.underWay.add(walk.order);
        return problems.map((problem) => `${describe(walk)}: ${problem}`);
      }),
    );
    assertNone(wrong.flat(), walks);
  }

  function assertNone(wrong: readonly string[], walks: readonly Walk[]): void {
    const shown = wrong.slice(0, MOST_SHOWN).join('\n');
    assert.equal(wrong.length, 0, `${wrong.length} problems in ${walks.length} orders of arrival:\n${shown}`);
  }

  /** @param expected the findings that there have to be, each as `(letter) what it is about` */
  async function assertAudit(expected: string[]): Promise<void> {
    await waitFor(
      'the auditor finds what it has to',
      async () => {
        const result = await world.slots.withAll(() =>
          audit(loadConfig(world.platform.auditEnv), { waitForQuiet: false }),
        );
        const found = await findingsOf(result);
        if (found.length !== expected.length) await delay(LOOK_AGAIN_MS);
        assert.deepEqual(found.sort(), expected.sort());
        return true;
      },
      CLEAN_WITHIN_MS,
    );
  }

  /** What the auditor has to say, but for orders that are still under way. */
  async function findingsOf({ equations }: Audit): Promise<string[]> {
    const found = equations.flatMap(({ id, findings }) => findings.map((finding) => `(${id}) ${finding.id}`));
    if (found.length === 0) return [];
    const orders = [...world.underWay];
    const orderIds = orders.map(({ id }) => id);
    const [payments, ledger] = await Promise.all([world.books.paymentsOf(orderIds), world.provider.ledger()]);
    const charges = ledger.filter(({ metadata }) => orderIds.includes(metadata.orderId ?? ''));
    const known = [
      ...orderIds,
      ...orders.flatMap(({ productIds }) => productIds),
      ...payments,
      ...charges.map(({ paymentIntentId }) => paymentIntentId),
    ];
    const isUnderWay = (finding: string) => known.some((id) => finding.includes(id));
    return found.filter((finding) => !isUnderWay(finding));
  }
}

/** How many orders of arrival have been walked at each service. */
function countOrders(walks: readonly Walk[]): Record<string, number> {
  const ways = new Map(walks.map((walk) => [describe(walk), walk]));
  const byService = Map.groupBy(ways.values(), ({ service }) => shortName(service));
  return Object.fromEntries([...byService].map(([service, found]) => [service, found.length]));
}
