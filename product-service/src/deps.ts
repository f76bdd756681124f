// What the handlers are given.
import type { Db } from '@glasshouse/shared/mongo';

export interface Deps {
  /** The database for HTTP, the consumer's transaction for events. */
  db: Db;
  /** Runs what changes products one at a time in this process, as the consumer does: transactions that meet would only do each other's work again. */
  inTurn: <T>(work: () => Promise<T>) => Promise<T>;
}
