// More orders than the platform can decide.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { json } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { callOnce, orderOf } from '../caller.ts';
import type { FloodFigures, flood as floodWith } from '../flood.ts';
import type { Scenario, Scene } from '../scenario.ts';

/** What two processor cores decide in half a minute or so. */
const PENDING_ORDERS = 200;
const CUSTOMERS = 10;
const LANES = 20;
const WARM_UP_S = 8;
const BEST_S = 20;
const FLOOD = { times: 5, seconds: 30 };
const LEAST_SHARE = 0.8;
const LONGEST_REFUSAL_MS = 50;
const RECOVERY_S = 8;

type Target = Pick<Parameters<typeof floodWith>[0], 'gatewayUrls' | 'tokens' | 'productId'>;

async function restartOrders({ world }: Scene, told?: NodeJS.ProcessEnv): Promise<void> {
  if (told === undefined) world.told.delete('order-service');
  else world.told.set('order-service', told);
  for (const copy of world.copiesOf('order-service')) {
    await copy.stop();
    await copy.start();
  }
}

const placeOne = ({ gatewayUrls, tokens, productId }: Target, index: number) =>
  callOnce(gatewayUrls[index % gatewayUrls.length] ?? '', {
    method: 'POST',
    path: '/api/v1/orders',
    token: tokens[index % tokens.length] ?? '',
    key: randomUUID(),
    body: orderOf([{ productId, quantity: 1 }]),
  });

/** As many orders as are taken, by customers who wait where they are asked to. */
async function orderAsFastAsTaken(target: Target, seconds: number): Promise<void> {
  const endsAt = performance.now() + seconds * 1000;
  const lane = async (index: number) => {
    while (performance.now() < endsAt) {
      const answer = await placeOne(target, index);
      if (typeof answer === 'string') await delay(500);
      else if (answer.status !== 201) await delay(answer.retryAfterMs ?? 500);
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)));
}

async function crowd(target: Target, rate: number): Promise<FloodFigures> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../flood-main.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  child.stdin.end(JSON.stringify({ ...target, rate, seconds: FLOOD.seconds }));
  const figures = (await json(child.stdout)) as FloodFigures;
  await exited;
  return figures;
}

export const flood: Scenario = {
  name: 'flood',
  says: `${FLOOD.times} times as many orders as the platform can decide come in for ${FLOOD.seconds} s: it decides as many as ever, and refuses the rest at once.`,
  async round(scene) {
    const { world, shopping, fault, tell, complain } = scene;
    const database = new pg.Client({
      connectionString: world.platform.auditEnv.AUDIT_ORDER_SERVICE_DATABASE_URL ?? '',
    });
    await database.connect();
    /** How many orders are decided in a second, while `work` is done. */
    const rateOf = async (seconds: number, work: Promise<unknown>): Promise<number> => {
      const { rows: before } = await database.query<{ now: Date }>('select clock_timestamp() as now');
      await work;
      const { rows } = await database.query<{ decided: number }>(
        `select count(*)::int as decided from orders
         where status <> 'pending' and updated_at between $1 and $1 + make_interval(secs => $2)`,
        [before[0]?.now, seconds],
      );
      return (rows[0]?.decided ?? 0) / seconds;
    };
    try {
      await restartOrders(scene, { MAX_PENDING_ORDERS: String(PENDING_ORDERS) });
      const [productId, tokens] = await Promise.all([shopping.product(), shopping.others(CUSTOMERS)]);
      const target = { gatewayUrls: world.gatewayUrls, tokens, productId };
      tell('how many orders can be decided in a second?');
      await orderAsFastAsTaken(target, WARM_UP_S);
      const best = await rateOf(BEST_S, orderAsFastAsTaken(target, BEST_S));

      const rate = Math.ceil(best * FLOOD.times);
      fault(`${best.toFixed(1)} a second; now ${rate} come in`);
      const crowding = crowd(target, rate);
      const decided = await rateOf(FLOOD.seconds, crowding);
      const { refused, probes, statuses } = await crowding;
      const afterwards = await rateOf(RECOVERY_S, delay(RECOVERY_S * 1000));

      tell(
        `${decided.toFixed(1)} decided a second, ${((100 * decided) / best).toFixed(0)} % of before; refused ${refused.count}, ` +
          `median ${refused.medianMs} ms; health checks ${probes.medianMs} ms; ${afterwards.toFixed(1)} decided a second afterwards`,
      );
      if (decided < LEAST_SHARE * best)
        complain(`${decided.toFixed(1)} orders a second are decided under the flood, of ${best.toFixed(1)} at best`);
      if (refused.count === 0) complain('nobody was refused');
      if (refused.medianMs >= LONGEST_REFUSAL_MS) complain(`a refusal takes ${refused.medianMs} ms`);
      if (refused.withoutRetryAfter > 0) complain(`${refused.withoutRetryAfter} refusals do not say when to come back`);
      if (probes.failed > 0) complain(`${probes.failed} of ${probes.count} health checks failed`);
      for (const [status, count] of Object.entries(statuses))
        if (!['201', '429', '503'].includes(status)) complain(`${count} of the crowd were answered with ${status}`);
    } finally {
      await database.end();
      await restartOrders(scene);
    }
  },
};
