// Whether there is room for one more order: the saga behind an order costs many times what accepting it does, so what is accepted has to be bounded.
import type { Queryable } from '@glasshouse/shared/postgres';
import { countPending } from './data/order-repository.ts';

/** How long a count is believed, in milliseconds: so often, at most, a process asks the database, however many customers come. */
const REMEMBER_MS = 200;

export interface Admission {
  /** Takes a place for a new order; false where none is free. A place that comes to nothing is free again with the next count. */
  admit(): Promise<boolean>;
}

/**
 * Counts in the database and, until it counts again, by itself. Each copy of the service does so: together they may admit a few orders more.
 * @param maxPending orders that may be pending; 0: no limit
 */
export function createAdmission({ db, maxPending }: { db: Queryable; maxPending: number }): Admission {
  if (maxPending === 0) return { admit: async () => true };
  let free = 0;
  let countedAt = Number.NEGATIVE_INFINITY;
  let counting: Promise<void> | undefined;

  const count = async () => {
    // Its own time is part of its age. It misses those who were admitted and have not committed yet.
    const startedAt = performance.now();
    free = maxPending - (await countPending(db, maxPending));
    countedAt = startedAt;
  };

  return {
    async admit() {
      if (performance.now() - countedAt > REMEMBER_MS) {
        counting ??= count().finally(() => {
          counting = undefined;
        });
        await counting;
      }
      if (free <= 0) return false;
      free -= 1;
      return true;
    },
  };
}
