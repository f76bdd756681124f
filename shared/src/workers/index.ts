// A worker does what handlers have committed as due: it claims a row under a lease, deals with the outside world, and records the result.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { backoffMs } from '../resilience/index.ts';
import { type Cause, failSpan, runWork } from '../telemetry/context.ts';

/** Longer than any call to the outside may take; by the database's clock. */
export const LEASE_SECONDS = 10;

export interface Worker extends Part {
  /**
   * Says that something is due: call it after the commit.
   * @param mayBeMore whether it may be more than one row
   */
  wake(mayBeMore?: boolean): void;
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
  /** Lanes that have found nothing, or could not look. Whoever wakes one tells it whether there may be more rows than it takes. */
  const sleepers = new Set<(mayBeMore: boolean) => void>();
  let missedWakes = 0;
  /** Lanes that are looking without having been told of a row. */
  let looking = 0;
  /** Whether the last look failed. */
  let isAway = false;
  const stopped = new AbortController();
  let lanes: Promise<void>[] = [];
  let sweeps: NodeJS.Timeout | undefined;

  const wakeOne = (mayBeMore: boolean): boolean => {
    const [sleeper] = sleepers;
    if (sleeper === undefined) return false;
    sleepers.delete(sleeper);
    sleeper(mayBeMore);
    return true;
  };
  const wakeAll = () => {
    while (wakeOne(true));
  };

  /** @returns what the lane is told by whoever wakes it, after `limitMs` at the latest */
  const sleep = async (limitMs?: number): Promise<boolean> => {
    if (stopped.signal.aborted) return false;
    if (missedWakes > 0) {
      missedWakes -= 1;
      return true;
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    sleepers.add(resolve);
    const timer = limitMs === undefined ? undefined : setTimeout(resolve, limitMs, true);
    const mayBeMore = await promise;
    clearTimeout(timer);
    sleepers.delete(resolve);
    return mayBeMore;
  };

  const look = async (isTold: boolean): Promise<Row | undefined> => {
    if (isTold) return claim();
    looking += 1;
    try {
      return await claim();
    } finally {
      looking -= 1;
    }
  };

  const lane = async () => {
    let failures = 0;
    let mayBeMore = true;
    while (!stopped.signal.aborted) {
      try {
        const row = await look(!mayBeMore);
        failures = 0;
        if (isAway) {
          isAway = false;
          wakeAll();
        }
        if (row === undefined) {
          mayBeMore = await sleep();
          continue;
        }
        if (mayBeMore) wakeOne(true);
        // Who was woken for one row and finds another after it has met more than it was told of.
        mayBeMore = true;
        await runWork(row.cause, { name }, async (span) => {
          try {
            await perform(row);
          } catch (error) {
            failSpan(span, error);
            logger.warn(`${name}: a row could not be finished; it comes up again`, { error });
          }
        });
      } catch (error) {
        logger.warn(`${name}: can't claim`, { error });
        failures += 1;
        isAway = true;
        // A pause that nobody ends: where some looks fail and others don't, they would wake each other without end.
        await delay(1_000, undefined, { signal: stopped.signal }).catch(() => {});
        mayBeMore = await sleep(backoffMs(failures, 500, 2_000));
      }
    }
  };

  /** One lane at a time: where the database is slow or away, the others would only wait for it as well. */
  const sweep = () => {
    if (looking === 0 && !isAway) wakeOne(true);
  };

  return {
    name,
    wake(mayBeMore = false) {
      // Nobody asleep: a lane that is just about to sleep must look once more.
      if (!wakeOne(mayBeMore)) missedWakes = Math.min(missedWakes + 1, concurrency);
    },
    async start() {
      lanes = Array.from({ length: concurrency }, lane);
      sweeps = setInterval(sweep, sweepIntervalMs).unref();
    },
    async stop() {
      clearInterval(sweeps);
      stopped.abort();
      wakeAll();
      await Promise.all(lanes);
    },
  };
}
