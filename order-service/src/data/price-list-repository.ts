// The price list: our copy of the catalogue's names and prices, kept by product events. A version only ever goes up.
import type { Money } from '@glasshouse/shared/contracts';
import type { Queryable } from '@glasshouse/shared/postgres';

export interface PricedProduct {
  productId: string;
  version: number;
  deleted: boolean;
  /** Absent for one that was deleted before we ever heard of it. */
  name?: string | undefined;
  price?: Money | undefined;
}

/** Writes an entry unless a later version is known. */
export async function upsertPrice(db: Queryable, product: PricedProduct): Promise<void> {
  await db.query(
    `insert into price_list (product_id, version, deleted, name, price, currency) values ($1, $2, $3, $4, $5, $6)
     on conflict (product_id) do update
     set version = excluded.version, deleted = excluded.deleted, name = coalesce(excluded.name, price_list.name),
         price = coalesce(excluded.price, price_list.price), currency = coalesce(excluded.currency, price_list.currency)
     where price_list.version < excluded.version`,
    [
      product.productId,
      product.version,
      product.deleted,
      product.name ?? null,
      product.price?.amount ?? null,
      product.price?.currency ?? null,
    ],
  );
}

export async function findPrices(db: Queryable, productIds: readonly string[]): Promise<Map<string, PricedProduct>> {
  const { rows } = await db.query<{
    product_id: string;
    version: number;
    deleted: boolean;
    name: string | null;
    price: number | null;
    currency: string | null;
  }>('select product_id, version, deleted, name, price, currency from price_list where product_id = any($1)', [
    productIds,
  ]);
  return new Map(
    rows.map((row) => [
      row.product_id,
      {
        productId: row.product_id,
        version: row.version,
        deleted: row.deleted,
        name: row.name ?? undefined,
        price: row.price === null || row.currency === null ? undefined : { amount: row.price, currency: row.currency },
      },
    ]),
  );
}
