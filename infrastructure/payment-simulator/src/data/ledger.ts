// The durable memory: every charge, every refund, what of them is still undecided, and every answer given under an idempotency key, in one SQLite file.
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { PaymentIntent } from '../domain/payment-intent.ts';
import type { Refund } from '../domain/refund.ts';

/** An answer kept under its idempotency key, byte for byte. */
export type KeptAnswer = {
  readonly key: string;
  /** What was asked; the same key with anything else is refused. */
  readonly requestHash: string;
  readonly requestId: string;
  readonly status: number;
  readonly body: string;
};

export type LedgerEntry = { readonly position: number; readonly intent: PaymentIntent; readonly refunds: Refund[] };

export type ProcessingCharge = {
  readonly intent: PaymentIntent;
  readonly ruleId: string;
  readonly until: number | null;
};

export type Ledger = ReturnType<typeof openLedger>;

// The exclusive lock keeps a second simulator off the file, and saves a lock call per statement.
const schema = `
  pragma locking_mode = exclusive;
  pragma journal_mode = wal;
  pragma synchronous = full;
  create table if not exists payment_intents (
    position integer primary key,
    id text not null unique,
    body text not null
  ) strict;
  create table if not exists refunds (
    position integer primary key,
    id text not null unique,
    payment_intent_id text not null references payment_intents (id),
    amount integer not null check (amount > 0),
    body text not null
  ) strict;
  create index if not exists refunds_by_payment_intent on refunds (payment_intent_id, position);
  create table if not exists processing (
    payment_intent_id text primary key references payment_intents (id),
    rule_id text not null,
    until integer
  ) strict;
  create table if not exists kept_answers (
    key text primary key,
    request_hash text not null,
    request_id text not null,
    status integer not null,
    body text not null
  ) strict;
`;

const last = Number.MAX_SAFE_INTEGER;

/**
 * Opens the ledger and makes it if there is none. All calls are synchronous, so that nothing comes between a reading and the
 * writing that rests on it; what `transaction` has returned from is on the disk.
 * @throws where the file cannot be opened or another process has it.
 */
export function openLedger(file: string) {
  mkdirSync(dirname(file), { recursive: true });
  const db = new DatabaseSync(file);
  try {
    db.exec(schema);
  } catch (error) {
    db.close();
    throw error;
  }

  const begin = db.prepare('begin immediate');
  const commit = db.prepare('commit');
  const rollback = db.prepare('rollback');
  const intentById = db.prepare('select body from payment_intents where id = ?');
  const insertIntent = db.prepare('insert into payment_intents (id, body) values (?, ?)');
  const updateIntent = db.prepare('update payment_intents set body = ? where id = ?');
  const intentsAfter = db.prepare(
    'select position, body from payment_intents where position > ? order by position limit ?',
  );
  const refundById = db.prepare('select position, body from refunds where id = ?');
  const insertRefund = db.prepare('insert into refunds (id, payment_intent_id, amount, body) values (?, ?, ?, ?)');
  const refundsBefore = db.prepare('select body from refunds where position < ? order by position desc limit ?');
  const refundsOfBefore = db.prepare(
    'select body from refunds where payment_intent_id = ? and position < ? order by position desc limit ?',
  );
  const refundedOf = db.prepare(
    "select coalesce(sum(amount), 0) as sum from refunds where payment_intent_id = ? and body ->> 'status' <> 'failed'",
  );
  // `cross join` keeps the order of the tables: to have the order of positions for nothing, SQLite would go through all intents at each call.
  const processing = db.prepare(
    'select body, rule_id, until from processing cross join payment_intents on id = payment_intent_id order by position',
  );
  const insertProcessing = db.prepare('insert into processing (payment_intent_id, rule_id, until) values (?, ?, ?)');
  const deleteProcessing = db.prepare('delete from processing where payment_intent_id = ?');
  const endProcessingUnder = db.prepare('update processing set until = 0 where rule_id = ?');
  const keptAnswer = db.prepare('select * from kept_answers where key = ?');
  const insertAnswer = db.prepare(
    'insert into kept_answers (key, request_hash, request_id, status, body) values (?, ?, ?, ?, ?)',
  );

  const parse = <T>(row: { body?: unknown }): T => JSON.parse(String(row.body)) as T;

  return {
    /** Runs `work` and commits; all of it or, when it throws, nothing. */
    transaction<T>(work: () => T): T {
      begin.run();
      try {
        const result = work();
        commit.run();
        return result;
      } catch (error) {
        if (db.isTransaction) rollback.run();
        throw error;
      }
    },

    findPaymentIntent(id: string): PaymentIntent | undefined {
      const row = intentById.get(id);
      return row && parse(row);
    },
    addPaymentIntent(intent: PaymentIntent): void {
      insertIntent.run(intent.id, JSON.stringify(intent));
    },
    updatePaymentIntent(intent: PaymentIntent): void {
      updateIntent.run(JSON.stringify(intent), intent.id);
    },

    /** Notes that a charge is undecided until then, in milliseconds since 1970; `null`: as long as the mood lasts. */
    addProcessing(paymentIntentId: string, ruleId: string, until: number | null): void {
      insertProcessing.run(paymentIntentId, ruleId, until);
    },
    /** The charges that are undecided, or were when somebody last looked. */
    listProcessing(): ProcessingCharge[] {
      return processing.all().map((row) => ({
        intent: parse(row),
        ruleId: String(row.rule_id),
        until: row.until === null ? null : Number(row.until),
      }));
    },
    removeProcessing(paymentIntentId: string): void {
      deleteProcessing.run(paymentIntentId);
    },
    /** Ends the waiting of all charges that are undecided because of a mood. */
    endProcessing(ruleId: string): void {
      endProcessingUnder.run(ruleId);
    },

    findRefund(id: string): Refund | undefined {
      const row = refundById.get(id);
      return row && parse(row);
    },
    addRefund(refund: Refund): void {
      insertRefund.run(refund.id, refund.payment_intent, refund.amount, JSON.stringify(refund));
    },
    /** What was given back of a charge so far, in minor units. */
    refundedAmount(paymentIntentId: string): number {
      return Number(refundedOf.get(paymentIntentId)?.sum);
    },
    /** Newest first, at most `limit`; of one charge, or of all; those older than the refund `after`, or from the newest on. */
    listRefunds(paymentIntentId: string | undefined, after: string | undefined, limit: number): Refund[] {
      const before = after === undefined ? last : Number(refundById.get(after)?.position ?? 0);
      const rows =
        paymentIntentId === undefined
          ? refundsBefore.all(before, limit)
          : refundsOfBefore.all(paymentIntentId, before, limit);
      return rows.map((row) => parse(row));
    },

    /** Charges with their refunds in the order they were created, at most `limit`, after `position`. */
    entriesAfter(position: number, limit: number): LedgerEntry[] {
      return intentsAfter.all(position, limit).map((row) => {
        const intent = parse<PaymentIntent>(row);
        const refunds = refundsOfBefore.all(intent.id, last, last).map((refund) => parse<Refund>(refund));
        return { position: Number(row.position), intent, refunds: refunds.reverse() };
      });
    },

    findAnswer(key: string): KeptAnswer | undefined {
      const row = keptAnswer.get(key);
      return (
        row && {
          key,
          requestHash: String(row.request_hash),
          requestId: String(row.request_id),
          status: Number(row.status),
          body: String(row.body),
        }
      );
    },
    keepAnswer(answer: KeptAnswer): void {
      insertAnswer.run(answer.key, answer.requestHash, answer.requestId, answer.status, answer.body);
    },

    close(): void {
      db.close();
    },
  };
}
