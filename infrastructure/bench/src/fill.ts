// Fills a shop's databases as if it had been open for three months: products with what the catalogue is searched and sorted by, orders with all that order-service keeps of each.
import { randomUUIDv7 } from 'node:crypto';
import type { Platform } from '@glasshouse/local/platform';
import { MongoClient } from 'mongodb';
import { openDatabase } from './shop.ts';

/** Of products: the stand-in for MongoDB answers nobody while it takes them in. */
const BATCH = 1_000;
const CATEGORIES = 10;

interface Product {
  _id: string;
  name: string;
  price: { amount: number; currency: string };
}

/** Values that many share and that have nothing to do with each other; every word in some of the products, in many or in nearly all. */
function aProduct(index: number): Product & Record<string, unknown> {
  const spread = (index * 7919) % 100_003;
  const wood = spread % 500 === 0 ? 'ebony' : spread % 10 === 0 ? 'oak' : 'pine';
  const name = `${['Round', 'Small', 'Tall', 'Old'][spread % 4]} ${wood} ${['table', 'chair', 'shelf'][spread % 3]} ${spread % 400}`;
  const description = 'Made by the hands of a carpenter.';
  const now = new Date();
  return {
    _id: randomUUIDv7(),
    name,
    description,
    category: `category-${spread % CATEGORIES}`,
    price: { amount: 100 + (spread % 3_000), currency: 'USD' },
    available: 1_000,
    held: 0,
    sold: 0,
    rating: spread % 10 === 0 ? { sum: 9, average: 4.5, count: 2 } : { sum: 0, average: 0, count: 0 },
    version: 1,
    deleted: false,
    createdAt: now,
    updatedAt: now,
    nameKey: name.toLowerCase(),
    words: [...new Set(`${name} ${description}`.toLowerCase().match(/\w+/g))],
    counter: 1,
    touchedAt: now,
  };
}

/** So many products, in the catalogue and in the list that orders are priced by. */
export async function fillCatalogue(platform: Platform, count: number): Promise<void> {
  const mongo = new MongoClient(platform.admin.mongoUrl);
  const orders = await openDatabase(platform, 'orders');
  try {
    const db = mongo.db('products');
    await db.collection<{ _id: string; name: string; productCount: number }>('categories').insertMany(
      Array.from({ length: CATEGORIES }, (_, index) => ({
        _id: `category-${index}`,
        name: `Category ${index}`,
        productCount: count / CATEGORIES,
      })),
    );
    for (let from = 0; from < count; from += BATCH) {
      const products = Array.from({ length: Math.min(BATCH, count - from) }, (_, index) => aProduct(from + index));
      await db.collection<Product>('products').insertMany(products);
      await orders.query(
        `insert into price_list (product_id, version, deleted, name, price, currency)
         select id, 1, false, name, price, 'USD' from unnest($1::uuid[], $2::text[], $3::bigint[]) as product (id, name, price)`,
        [products.map(({ _id }) => _id), products.map(({ name }) => name), products.map(({ price }) => price.amount)],
      );
    }
    await orders.query('analyze price_list');
  } finally {
    await mongo.close();
    await orders.end();
  }
}

const ORDERS_PER_CUSTOMER = 20;

/** So many orders that have ended, of the last 90 days: their items, their timelines, the keys that they were asked for by, and an inbox of seven days. */
export async function fillOrders(platform: Platform, count: number): Promise<void> {
  const database = await openDatabase(platform, 'orders');
  try {
    // No foreign key is checked row by row, and one disk write for all is enough.
    await database.query("begin; set local session_replication_role = 'replica'; set local synchronous_commit = off");
    await database.query(
      `create temporary table filled on commit drop as
       select uuidv7(age) as id, clock_timestamp() + age as at, md5('customer ' || number % $2)::uuid as user_id,
              (array['confirmed', 'delivered', 'shipped', 'delivered', 'cancelled'])[1 + number % 5] as status, number
       from (select number, make_interval(secs => -7776000.0 * ($1 - number) / $1 - 60) as age from generate_series(1, $1::integer) as number) as aged`,
      [count, Math.ceil(count / ORDERS_PER_CUSTOMER)],
    );
    await database.query(`
      insert into orders (id, user_id, status, cancel_reason, total_amount, currency, shipping_address, payment_method, pay_by, created_at, updated_at,
                          correlation_id, traceparent)
      select id, user_id, status, case status when 'cancelled' then 'customer' end, 3998, 'USD',
             '{"name": "Alice", "line1": "1 Main Street", "city": "Springfield", "postalCode": "12345", "country": "US"}', 'pm_card_visa',
             at + interval '2 min', at, at, md5(number::text), '00-' || md5(number::text) || '-00f067aa0ba902b7-01'
      from filled`);
    await database.query(`
      insert into order_items (order_id, position, product_id, name, quantity, unit_price)
      select id, 1, (select product_id from price_list limit 1), 'Enamel Kettle', 2, 1999 from filled`);
    await database.query(`
      insert into timeline (order_id, event_id, type, source, time, trace_id, causation_id, summary)
      select id, uuidv7(at - clock_timestamp()), type, source, at, md5(number::text), uuidv7(at - clock_timestamp()), 'What has happened, in a few words.'
      from filled, (values ('order.created', 'order-service'), ('inventory.reserved', 'product-service'),
                           ('payment.captured', 'payment-service'), ('order.confirmed', 'order-service')) as event (type, source)`);
    await database.query(`
      insert into idempotency_keys (user_id, operation, key, body_hash, resource_id, created_at)
      select user_id, 'POST /v1/orders', gen_random_uuid()::text, md5(number::text) || md5(number::text), id, at from filled`);
    await database.query(`
      insert into inbox (event_id, handled_at)
      select uuidv7(at - clock_timestamp()), at from filled, generate_series(1, 2) where at > clock_timestamp() - interval '7 days'`);
    await database.query('commit');
    await database.query('vacuum analyze');
    await database.query('checkpoint');
  } finally {
    await database.end();
  }
}
