// The inbox: the ids of the events that were handled, written in the same transaction as what the handling changed.
import type { ConsumerDatabase } from '../event-bus/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { type Database, HAS_BEGUN, inTransaction, type Transaction } from './database.ts';

const PURGE_INTERVAL_MS = 3_600_000;
/** Few enough rows for one statement's time limit. */
const PURGE_BATCH = 5_000;

/** What the consumer needs of this database. */
export function createConsumerDatabase(database: Database): ConsumerDatabase<Transaction> {
  return {
    handleOnce(eventId, work) {
      const remember = {
        text: `insert into inbox (event_id) select $1::uuid where ${HAS_BEGUN} on conflict do nothing`,
        values: [eventId],
      };
      return inTransaction(
        database,
        async (tx, remembered) => {
          if (remembered === undefined) throw new Error('nobody has looked into the inbox');
          if (remembered.rowCount === 0) return false;
          await work(tx);
          return true;
        },
        remember,
      );
    },
    async probeWrite() {
      await database.query(
        'insert into write_probe (id, probed_at) values (1, now()) on conflict (id) do update set probed_at = excluded.probed_at',
      );
    },
  };
}

/** Forgets what was handled more than 7 days ago: the state rows know better by then. */
export function createInboxPurge(database: Database, logger: Logger): Part {
  let timer: NodeJS.Timeout | undefined;
  const purge = async () => {
    try {
      let purged: number | null;
      do {
        ({ rowCount: purged } = await database.query(
          `delete from inbox where event_id in (
             select event_id from inbox where handled_at < now() - interval '7 days' order by handled_at limit $1)`,
          [PURGE_BATCH],
        ));
      } while (purged === PURGE_BATCH);
    } catch (error) {
      logger.warn('the inbox could not be purged', { error });
    }
  };
  return {
    name: 'inbox purge',
    async start() {
      void purge();
      timer = setInterval(purge, PURGE_INTERVAL_MS);
    },
    async stop() {
      clearInterval(timer);
    },
  };
}
