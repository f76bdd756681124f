// What order-service knows: orders, their timelines, the keys they were placed with, and its price list.
import type { ItemQuantity, Money } from '@glasshouse/shared/contracts';
import type { PostgresSource } from './postgres.ts';

/** The events of an order's timeline that the customer gets a mail about. */
export const mailedEvents = [
  'order.confirmed',
  'order.cancelled',
  'order.shipped',
  'order.delivered',
  'payment.refunded',
] as const;
export type MailedEvent = (typeof mailedEvents)[number];

export type OrderStatus = 'pending' | 'confirmed' | 'cancelled' | 'shipped' | 'delivered';

export interface Order {
  id: string;
  userId: string;
  status: OrderStatus;
  total: Money;
  /** Σ unit price × quantity, in minor units. */
  itemsTotal: number;
  /** By product id. */
  items: ItemQuantity[];
}

export interface PriceListEntry {
  productId: string;
  version: number;
  deleted: boolean;
  name: string | null;
  price: number | null;
  currency: string | null;
}

export interface OrderData {
  orders: Map<string, Order>;
  /** How many of each event that has a mail there are in an order's timeline. */
  timeline: { orderId: string; type: MailedEvent; events: number }[];
  keys: { userId: string; key: string; orderId: string }[];
  priceList: PriceListEntry[];
  outbox: number;
}

const orders = `
  select id, user_id, status, total_amount, currency, coalesce(items_total, 0)::bigint as items_total, product_ids, quantities
  from orders left join (
    select order_id, sum(unit_price * quantity) as items_total,
           array_agg(product_id::text order by product_id) as product_ids, array_agg(quantity order by product_id) as quantities
    from order_items group by order_id
  ) as items on order_id = id`;

interface OrderRow {
  id: string;
  user_id: string;
  status: OrderStatus;
  total_amount: number;
  currency: string;
  items_total: number;
  product_ids: string[] | null;
  quantities: number[] | null;
}

function toOrder(row: OrderRow): Order {
  const { product_ids: productIds, quantities } = row;
  return {
    id: row.id,
    userId: row.user_id,
    status: row.status,
    total: { amount: row.total_amount, currency: row.currency },
    itemsTotal: row.items_total,
    items: (productIds ?? []).map((productId, index) => ({ productId, quantity: quantities?.[index] ?? 0 })),
  };
}

export function readOrders(source: PostgresSource): Promise<OrderData> {
  return source.inSnapshot(async ({ rows, stream }) => {
    const found = new Map<string, Order>();
    for await (const row of stream<OrderRow>(orders)) found.set(row.id, toOrder(row));
    const types = mailedEvents.map((type) => `'${type}'`).join(', ');
    const timeline = await rows<OrderData['timeline'][number]>(
      `select order_id as "orderId", type, count(*) as events from timeline where type in (${types}) group by order_id, type`,
    );
    const keys = await rows<OrderData['keys'][number]>(
      `select user_id as "userId", key, resource_id as "orderId" from idempotency_keys where operation = 'POST /v1/orders'`,
    );
    const priceList = await rows<PriceListEntry>(
      'select product_id as "productId", version, deleted, name, price, currency from price_list',
    );
    const [outbox] = await rows<{ rows: number }>('select count(*) as rows from outbox');
    return { orders: found, timeline, keys, priceList, outbox: outbox?.rows ?? 0 };
  });
}
