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

/** Servers of one's own, as `npm start` takes them, what passwords cost, and whether there are metrics. */
const passedOn =
  /^((USERS|ORDERS|PAYMENTS)_DATABASE_URL|(PRODUCTS_|NOTIFICATIONS_)?MONGO_URL|RABBITMQ(_MANAGEMENT)?_URL|AUDIT_QUEUE_COUNTS_AGE_S|ARGON2_.+|METRICS_PORT)$/;
const cacheDir = resolve(process.env.CHAOS_CACHE_DIR ?? join(import.meta.dirname, '../../../.local'));

const code = await main().catch((error) => {
  console.error(error instanceof WrongArgument ? error.message : error);
  return 2;
});
// What was interrupted may still be waiting for answers.
process.exit(code);

async function main(): Promise<number> {
  const wanted = readArguments(process.argv.slice(2), all);
  const { scenarios, orders, rate, seed, graceS, list } = wanted;
  if (list) {
    const width = Math.max(...all.map(({ name }) => name.length));
    for (const { name, says } of all) console.log(`${name.padEnd(width)}  ${says}`);
    return 0;
  }

  let current = 'start';
  const progress = createProgress(process.stderr, () => current);
  const results: Result[] = [];
  /** How many scenarios could not be tried. */
  let failures = 0;
  const interrupted = new Promise<never>((_, reject) => {
    // Again and again: a second one must not end this process before the platform's.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(signal, () => {
        progress.tell('interrupted; the platform is being stopped');
        reject(new WrongArgument('Interrupted.'));
      });
  });
  interrupted.catch(() => {});
  /** Whatever it is in the middle of, an interruption ends the wait for it. */
  const unlessInterrupted = <T>(work: Promise<T>): Promise<T> => {
    work.catch(() => {});
    return Promise.race([work, interrupted]);
  };

  let running: Promise<World> | undefined;
  const start = async () => {
    const world = await startWorld({
      portOffset: wanted.portOffset,
      copies: wanted.copies,
      cacheDir,
      data: process.env.CHAOS_PLATFORM_DATA,
      env: {
        ...Object.fromEntries(Object.entries(process.env).filter(([name]) => passedOn.test(name))),
        SAGA_TIMEOUT_S: String(wanted.deadlineS),
      },
      log: (line) => progress.tell(line),
    });
    progress.print(`Until it stops, its logs, mails and settings are in ${world.dir}`);
    return world;
  };
  const stop = async () => {
    progress.follow(undefined);
    progress.tell('the platform stops');
    await (await running?.catch(() => undefined))?.stop();
    running = undefined;
  };

  progress.print(`${scenarios.length} scenarios of ${orders} orders each, ${rate} a second, seed ${seed}`);
  try {
    for (const scenario of scenarios) {
      current = scenario.name;
      running ??= start();
      const world = await unlessInterrupted(running);
      const run = runScenario(world, scenario, { orders, rate, seed, graceS, progress });
      const result = await unlessInterrupted(run).catch((error) => {
        if (error instanceof WrongArgument) throw error;
        failures += 1;
        progress.print(`\n${scenario.name} could not be tried: ${(error as Error).stack}\n`);
      });
      if (result !== undefined) results.push(result);
      if (result !== undefined && result.violations.length === 0) continue;
      if (result !== undefined) progress.print(`\n${complaints(result)}\n`);
      // What is wrong now must not be held against the next one.
      await stop();
    }
  } finally {
    current = 'stop';
    await stop();
    if (results.length > 0)
      progress.print(`\n${table(results)}\n\nseed ${seed}, ${orders} orders each, ${rate} a second`);
  }
  const hasFailed = results.some(({ violations }) => violations.length > 0);
  if (failures === 0 && !hasFailed) console.log('Nothing was lost.');
  return failures > 0 ? 2 : hasFailed ? 1 : 0;
}
