// Cancels what has been pending past its deadline, but not before everything that arrived meanwhile has been heard:
// a service that was down for days must first learn which of its orders were paid in time.
import type { Consumer } from '@glasshouse/shared/event-bus';
import type { Logger } from '@glasshouse/shared/logger';
import type { Database } from '@glasshouse/shared/postgres';
import type { Part } from '@glasshouse/shared/process';
import { runWork } from '@glasshouse/shared/telemetry';
import { listOverdueOrders } from '../data/order-repository.ts';
import { cancelOrder } from '../handlers/cancel-order.ts';

const BATCH = 100;
/** A queue that never runs empty must not keep orders pending for ever: neither a start nor a deadline is waited after for longer. */
const LONGEST_WAIT_MS = 600_000;

export interface DeadlineSweep extends Part {
  /** One look: cancels the overdue orders that may be cancelled by now. */
  sweep(): Promise<void>;
}

export function createDeadlineSweep(options: {
  database: Database;
  consumer: Pick<Consumer, 'hasCaughtUp' | 'consumingSince'>;
  logger: Logger;
  intervalMs: number;
  /** How long another copy may hold a message unseen, in milliseconds. */
  settleMs: number;
}): DeadlineSweep {
  const { database, consumer, logger, intervalMs, settleMs } = options;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let stopped = false;
  /** When the queue was first seen with nothing waiting, and has been ever since. */
  let caughtUpAt: Date | undefined;

  const sweep = async () => {
    // By the database's clock, read before the queue is looked at.
    const { rows } = await database.query<{ now: Date; overdue: boolean }>(
      `select clock_timestamp() as now, exists (select from orders where status = 'pending' and pay_by < clock_timestamp()) as overdue`,
    );
    const [seen] = rows;
    if (seen === undefined || !seen.overdue) {
      caughtUpAt = undefined;
      return;
    }
    const since = consumer.consumingSince();
    const hasWaitedLongest = since !== undefined && performance.now() - since > LONGEST_WAIT_MS;
    if (!(await consumer.hasCaughtUp())) caughtUpAt = undefined;
    else caughtUpAt ??= seen.now;
    // Another copy, even one that has died, holds messages unseen for no longer than that.
    const settled = new Date(seen.now.getTime() - settleMs);
    const hasSettled = caughtUpAt !== undefined && caughtUpAt <= settled;
    if (!hasSettled && !hasWaitedLongest) return;
    const before = hasSettled ? settled : new Date(seen.now.getTime() - LONGEST_WAIT_MS);
    let overdue: Awaited<ReturnType<typeof listOverdueOrders>>;
    do {
      overdue = await listOverdueOrders(database, before, BATCH);
      for (const { id, cause } of overdue)
        await runWork(cause, { name: 'deadline' }, () =>
          cancelOrder({ orderId: id, reason: 'timeout' }, { db: database }),
        );
      if (overdue.length > 0) logger.warn('orders were cancelled at their deadline', { orders: overdue.length });
    } while (overdue.length === BATCH && !stopped);
  };

  const schedule = () => {
    if (stopped) return;
    timer = setTimeout(() => {
      running = sweep()
        .catch((error) => {
          logger.warn('overdue orders could not be looked for', { error });
        })
        .finally(schedule);
    }, intervalMs);
  };

  return {
    name: 'deadline sweep',
    sweep,
    async start() {
      schedule();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
