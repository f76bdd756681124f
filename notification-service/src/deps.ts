// What the handlers are given.
import type { Db } from '@glasshouse/shared/mongo';
import type { Worker } from '@glasshouse/shared/workers';

export interface Deps {
  /** The database for HTTP, the consumer's transaction for events. */
  db: Db;
  /** To be woken after a commit that has made a mail due. */
  mailWorker: Pick<Worker, 'wake'>;
}
