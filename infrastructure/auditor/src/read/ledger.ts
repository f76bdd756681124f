// The payment provider's own books: every charge that was ever begun there, with its refunds.
import { z } from 'zod';
import { getJson } from './http.ts';
import { reading } from './source.ts';

const pageSchema = z.object({
  items: z.array(
    z.object({
      paymentIntentId: z.string(),
      status: z.string(),
      amount: z.int(),
      /** Lower case there, upper case here. */
      currency: z.string().toUpperCase(),
      refunds: z.array(
        z.object({
          refundId: z.string(),
          amount: z.int(),
          status: z.string(),
          metadata: z.object({ refundId: z.string().optional() }),
        }),
      ),
    }),
  ),
  nextCursor: z.string().nullable(),
});

/** Amounts in minor units. `status` is the provider's: `succeeded` where money has moved. */
export type LedgerCharge = z.output<typeof pageSchema>['items'][number];

export function readLedger(url: string): Promise<LedgerCharge[]> {
  return reading("the payment provider's ledger", url, async () => {
    const charges: LedgerCharge[] = [];
    let cursor: string | null = '';
    do {
      const path: string = `/ledger?limit=100${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
      const page: z.output<typeof pageSchema> = pageSchema.parse(await getJson(url, path));
      charges.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== null);
    return charges;
  });
}
