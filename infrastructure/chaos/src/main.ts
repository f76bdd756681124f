// Breaks every part of the platform while orders flow, and proves that nothing was lost:
//   npm run chaos                                              every scenario, one after the other
//   npm run chaos -- --scenario kill-order-service,rabbitmq    one of them, and all whose names begin so
//   npm run chaos -- --orders 20000 --rate 8 --seed 7          more orders; the same seed breaks the same things again
// The exit code is 0 where everything that must hold has held, 1 where something has not, 2 where it could not be tried.
import { join, resolve } from 'node:path';
import { readArguments, WrongArgument } from './arguments.ts';
import { complaints, createProgress, table } from './report.ts';
import { type Result, runScenario } from './run.ts';
import { scenarios as all } from './scenarios/index.ts';
import { startWorld, type World } from './world.ts';

/** Servers of one's own, as `npm start` takes them. */
const ofServers =
  /^((USERS|ORDERS|PAYMENTS)_DATABASE_URL|(PRODUCTS_|NOTIFICATIONS_)?MONGO_URL|RABBITMQ(_MANAGEMENT)?_URL|AUDIT_QUEUE_COUNTS_AGE_S)$/;
const cacheDir = resolve(process.env.CHAOS_CACHE_DIR ?? join(import.meta.dirname, '../../../.local'));

process.exitCode = await main().catch((error) => {
  console.error(error instanceof WrongArgument ? error.message : error);
  return 2;
});

async function main(): Promise<number> {
  const wanted = readArguments(process.argv.slice(2), all);
  const { scenarios, orders, rate, seed, list } = wanted;
  if (list) {
    const width = Math.max(...scenarios.map(({ name }) => name.length));
    for (const { name, says } of scenarios) console.log(`${name.padEnd(width)}  ${says}`);
    return 0;
  }

  let current = 'start';
  const progress = createProgress(process.stderr, () => current);
  let world: World | undefined;
  const results: Result[] = [];
  let isInterrupted = false;
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => {
        isInterrupted = true;
        reject(new WrongArgument('Interrupted.'));
      });
  });
  interrupted.catch(() => {});

  progress.print(`${scenarios.length} scenarios of ${orders} orders each, ${rate} a second, seed ${seed}`);
  const starting = startWorld({
    portOffset: wanted.portOffset,
    cacheDir,
    env: {
      ...Object.fromEntries(Object.entries(process.env).filter(([name]) => ofServers.test(name))),
      SAGA_TIMEOUT_S: String(wanted.deadlineS),
    },
    log: (line) => progress.tell(line),
  });
  try {
    world = await Promise.race([starting, interrupted]);
    for (const scenario of scenarios) {
      current = scenario.name;
      const run = runScenario(world, scenario, { orders, rate, seed, progress });
      results.push(await Promise.race([run, interrupted]));
    }
  } finally {
    current = 'stop';
    progress.follow(undefined);
    progress.tell('the platform stops');
    await (await starting.catch(() => undefined))?.stop();
    if (results.length > 0)
      progress.print(`\n${table(results)}\n\nseed ${seed}, ${orders} orders each, ${rate} a second`);
  }
  const found = complaints(results);
  console.log(found === '' ? 'Nothing was lost.' : `\n${found}`);
  return found === '' && !isInterrupted ? 0 : 1;
}
