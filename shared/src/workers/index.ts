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
  /** Lanes that have found nothing. Whoever wakes one tells it whether there may be more rows than it takes. */
  const sleepers = new Set<(mayBeMore: boolean) => void>();
  let missedWakes = 0;
  let lanes: Promise<void>[] = [];
  let sweeps: NodeJS.Timeout | undefined;

  const wakeOne = (mayBeMore: boolean): boolean => {
    const [sleeper] = sleepers;
    if (sleeper === undefined) return false;
    sleepers.delete(sleeper);
    sleeper(mayBeMore);
    return true;
  };

  /** @returns what the lane is told by whoever wakes it */
  const sleep = async (): Promise<boolean> => {
    if (stopped.signal.aborted) return false;
    if (missedWakes > 0) {
      missedWakes -= 1;
      return true;
    }
    return new Promise((resolve) => sleepers.add(resolve));
  };

  const lane = async () => {
    let failures = 0;
    let mayBeMore = true;
    while (!stopped.signal.aborted) {
      let row: Row | undefined;
      try {
        row = await claim();
        failures = 0;
      } catch (error) {
        logger.warn(`${name}: can't claim`, { error });
        failures += 1;
        const pauseMs = 1_000 + backoffMs(failures, 500, 10_000);
        await delay(pauseMs, undefined, { signal: stopped.signal }).catch(() => {});
        continue;
      }
      if (row === undefined) {
        mayBeMore = await sleep();
        continue;
      }
      if (mayBeMore) wakeOne(true);
      // Who was woken for one row and finds another after it has met more than it was told of.
      mayBeMore = true;
      await runWithCause(row.cause, async () => {
        try {
          await perform(row);
        } catch (error) {
          logger.warn(`${name}: a row could not be finished; it comes up again`, { error });
        }
      });
    }
  };

  return {
    name,
    wake() {
      // Nobody asleep: a lane that is just about to sleep must look once more.
      if (!wakeOne(false)) missedWakes = Math.min(missedWakes + 1, concurrency);
    },
    async start() {
      lanes = Array.from({ length: concurrency }, lane);
      sweeps = setInterval(() => wakeOne(true), sweepIntervalMs).unref();
    },
    async stop() {
      clearInterval(sweeps);
      stopped.abort();
      while (wakeOne(false));
      await Promise.all(lanes);
    },
  };
}
