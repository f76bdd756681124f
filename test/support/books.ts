// What is written down about what customers and admins do: the rows themselves, so that a test can tell that nothing else has changed.
import { MongoClient } from 'mongodb';
import pg from 'pg';
import type { Platform } from '../../infrastructure/local/src/platform.ts';

/** By id, what must not change by itself. */
type Ledger = Map<string, string>;

export interface Books {
  users: Ledger;
  addresses: Ledger;
  orders: Ledger;
  /** Those that an admin has asked for. */
  refunds: Ledger;
  /** The catalogue's entries. */
  products: Ledger;
  reviews: Ledger;
  /** Units that came or went otherwise than by an order, by product. */
  received: Map<string, number>;
}

const keyed = <R>(rows: R[], id: (row: R) => string, value: (row: R) => unknown): Ledger =>
  new Map(rows.map((row) => [id(row), JSON.stringify(value(row))]));

async function rowsOf(url: string, query: string): Promise<{ id: string; row: unknown }[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<{ id: string; row: unknown }>(query)).rows;
  } finally {
    await client.end();
  }
}

export async function readBooks({ admin }: Pick<Platform, 'admin'>): Promise<Books> {
  const ledger = async (database: string, query: string) =>
    keyed(
      await rowsOf(Object.assign(new URL(admin.postgresUrl ?? ''), { pathname: database }).href, query),
      ({ id }) => id,
      ({ row }) => row,
    );
  const client = await new MongoClient(admin.mongoUrl).connect();
  try {
    const database = client.db('products');
    const [users, addresses, orders, refunds, products, reviews, journal] = await Promise.all([
      ledger('users', 'select id, json_build_array(email, name, roles) as row from users'),
      ledger('users', 'select id, json_build_array(user_id, address) as row from addresses'),
      ledger(
        'orders',
        'select id, json_build_array(user_id, status, total_amount, currency, shipping_address, payment_method) as row from orders',
      ),
      ledger(
        'payments',
        `select id, json_build_array(payment_id, amount, reason) as row from refunds where cause = 'admin'`,
      ),
      database.collection<{ _id: string }>('products').find().toArray(),
      database.collection<{ _id: string }>('reviews').find().toArray(),
      database.collection<{ productId: string; delta: number }>('stock_journal').find().toArray(),
    ]);
    const received = new Map<string, number>();
    for (const { productId, delta } of journal) received.set(productId, (received.get(productId) ?? 0) + delta);
    return {
      users,
      addresses,
      orders,
      refunds,
      products: keyed(
        products as (Record<string, unknown> & { _id: string })[],
        ({ _id }) => _id,
        (product) => {
          const { name, description, category, price, version, deleted } = product;
          return { name, description, category, price, version, deleted };
        },
      ),
      reviews: keyed(
        reviews,
        ({ _id }) => _id,
        (review) => review,
      ),
      received,
    };
  } finally {
    await client.close();
  }
}
