// A worker does what handlers have committed as due: it claims a row under a lease, deals with the outside world, and records the result.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { backoffMs } from '../resilience/index.ts';
import { type Cause, runWithCause } from '../telemetry/context.ts';

/** Longer than any call to the outside may take; by the database's clock. */
export const LEASE_SECONDS = 10;

export interface Worker extends Part {
  /** Says that something may be due: call it after the commit. */
  wake(): void;
}

/**
 * @param claim takes one due row under a lease, or nothing; copies of a service must get different rows
 * @param perform the call and its record; what it throws is logged, and the row comes up again when its lease ends
 * @param sweepIntervalMs how often to look although nobody has called `wake` (after a crash, or when a row waits for its next try)
 */
export function createWorker<Row extends { cause: Cause }>(options: {
  name: string;
  logger: Logger;
  concurrency: number;
  sweepIntervalMs: number;
  claim: () => Promise<Row | undefined>;
  perform: (row: Row) => Promise<void>;
}): Worker {
  const { name, logger, concurrency, sweepIntervalMs, claim, perform } = options;
  const stopped = new AbortController();
  const sleepers = new Set<() => void>();
  let missedWakes = 0;
  let lanes: Promise<void>[] = [];

  const rest = async (ms: number) => {
    if (missedWakes > 0) {
      missedWakes -= 1;
      return;
    }
    const woken = Promise.withResolvers<void>();
    sleepers.add(woken.resolve);
    const timer = new AbortController();
    const signal = AbortSignal.any([timer.signal, stopped.signal]);
    await Promise.race([woken.promise, delay(ms, undefined, { signal }).catch(() => {})]);
    timer.abort();
    sleepers.delete(woken.resolve);
  };

  const lane = async (isFirst: boolean) => {
    let failures = 0;
    while (!stopped.signal.aborted) {
      try {
        const row = await claim();
        if (row === undefined) {
          // One lane sweeps; the others wait until they are woken.
          await rest(isFirst ? sweepIntervalMs : 2 ** 30);
          continue;
        }
        wakeOne();
        await runWithCause(row.cause, async () => {
          try {
            await perform(row);
          } catch (error) {
            logger.warn(`${name}: a row could not be finished; it comes up again`, { error });
          }
        });
        failures = 0;
      } catch (error) {
        logger.warn(`${name}: can't claim`, { error });
        failures += 1;
        await rest(1_000 + backoffMs(failures, 500, 10_000));
      }
    }
  };

  const wakeOne = () => {
    const [sleeper] = sleepers;
    if (sleeper === undefined) return false;
    sleepers.delete(sleeper);
    sleeper();
    return true;
  };

  return {
    name,
    wake() {
      // Nobody asleep: a lane that is just about to sleep must look once more.
      if (!wakeOne()) missedWakes = Math.min(missedWakes + 1, concurrency);
    },
    async start() {
      lanes = Array.from({ length: concurrency }, (_, index) => lane(index === 0));
    },
    async stop() {
      stopped.abort();
      await Promise.all(lanes);
    },
  };
}
