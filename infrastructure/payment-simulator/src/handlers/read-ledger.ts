// What the auditor reads: each charge with its refunds, oldest first.
import type { z } from 'zod';
import { type Answer, ok } from '../answer.ts';
import type { Deps } from '../deps.ts';
import { cursorOf, type ledgerParameters } from '../http/parameters.ts';

/** One page. Amounts in minor units, currencies in Stripe's lower case. */
export function readLedger(command: z.output<typeof ledgerParameters>, { ledger }: Deps): Answer {
  const entries = ledger.entriesAfter(command.cursor, command.limit + 1);
  const page = entries.slice(0, command.limit);
  const end = page.at(-1);
  return ok({
    items: page.map(({ intent, refunds }) => ({
      paymentIntentId: intent.id,
      status: intent.status,
      amount: intent.amount,
      currency: intent.currency,
      metadata: intent.metadata,
      refunds: refunds.map(({ id, amount, status, metadata }) => ({ refundId: id, amount, status, metadata })),
    })),
    nextCursor: entries.length > page.length && end !== undefined ? cursorOf(end.position) : null,
  });
}
