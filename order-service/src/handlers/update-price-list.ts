// The catalogue has changed: the price list follows, whatever order the news comes in.
import { inTransaction } from '@glasshouse/shared/postgres';
import { type PricedProduct, upsertPrice } from '../data/price-list-repository.ts';
import type { Deps } from '../deps.ts';

export async function updatePriceList(product: PricedProduct, { db }: Pick<Deps, 'db'>): Promise<void> {
  await inTransaction(db, (tx) => upsertPrice(tx, product));
}
