// What the handlers are given.
import type { Db } from '@glasshouse/shared/postgres';

export interface Deps {
  /** The pool for HTTP, the consumer's transaction for events. */
  db: Db;
  /** Says, after the commit, that a charge may be due. */
  wakeCharges(): void;
  /** Says, after the commit, that a refund may be due. */
  wakeRefunds(): void;
}
