// Orders in SQL, in and out as domain types.
import type { Address, CancelReason } from '@glasshouse/shared/contracts';
import type { Queryable, Transaction } from '@glasshouse/shared/postgres';
import { type Cause, currentCause } from '@glasshouse/shared/telemetry';
import type { Order, OrderItem, OrderStatus } from '../domain/order.ts';

interface OrderRow {
  id: string;
  user_id: string;
  status: OrderStatus;
  cancel_reason: CancelReason | null;
  total_amount: number;
  currency: string;
  shipping_address: Address;
  payment_method: string;
  pay_by: Date;
  created_at: Date;
  updated_at: Date;
  items: { product_id: string; name: string; quantity: number; unit_price: number }[];
}

const columns = `id, user_id, status, cancel_reason, total_amount, currency, shipping_address, payment_method, pay_by, created_at, updated_at,
  (select json_agg(json_build_object('product_id', product_id, 'name', name, 'quantity', quantity, 'unit_price', unit_price) order by position)
   from order_items where order_id = orders.id) as items`;

function toOrder(row: OrderRow): Order {
  const items: OrderItem[] = row.items.map((item) => ({
    productId: item.product_id,
    name: item.name,
    quantity: item.quantity,
    unitPrice: { amount: item.unit_price, currency: row.currency },
  }));
  return {
    id: row.id,
    userId: row.user_id,
    status: row.status,
    cancelReason: row.cancel_reason ?? undefined,
    items,
    total: { amount: row.total_amount, currency: row.currency },
    shippingAddress: row.shipping_address,
    paymentMethod: row.payment_method,
    payBy: row.pay_by,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** Remembers the present trace with the order. */
export async function insertOrder(tx: Transaction, order: Order): Promise<void> {
  const { correlationId, traceparent } = currentCause();
  await tx.query(
    `with placed as (
       insert into orders (id, user_id, status, total_amount, currency, shipping_address, payment_method, pay_by, created_at, updated_at,
                           correlation_id, traceparent)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11)
     )
     insert into order_items (order_id, position, product_id, name, quantity, unit_price)
     select $1, position, product_id, name, quantity, unit_price
     from unnest($12::uuid[], $13::text[], $14::integer[], $15::bigint[]) with ordinality
       as item (product_id, name, quantity, unit_price, position)`,
    [
      order.id,
      order.userId,
      order.status,
      order.total.amount,
      order.total.currency,
      JSON.stringify(order.shippingAddress),
      order.paymentMethod,
      order.payBy,
      order.createdAt,
      correlationId,
      traceparent,
      order.items.map((item) => item.productId),
      order.items.map((item) => item.name),
      order.items.map((item) => item.quantity),
      order.items.map((item) => item.unitPrice.amount),
    ],
  );
}

export async function findOrder(db: Queryable, id: string): Promise<Order | undefined> {
  const { rows } = await db.query<OrderRow>(`select ${columns} from orders where id = $1`, [id]);
  return rows[0] && toOrder(rows[0]);
}

/** Locks the order's row until the transaction ends: whoever decides next sees what was decided. */
export async function lockOrder(tx: Transaction, id: string): Promise<Order | undefined> {
  const { rows } = await tx.query<OrderRow>(`select ${columns} from orders where id = $1 for update`, [id]);
  return rows[0] && toOrder(rows[0]);
}

export async function updateOrder(tx: Transaction, order: Order): Promise<void> {
  await tx.query('update orders set status = $2, cancel_reason = $3, updated_at = $4 where id = $1', [
    order.id,
    order.status,
    order.cancelReason ?? null,
    order.updatedAt,
  ]);
}

/**
 * Newest first, one more than `limit` so that the caller sees whether there are more.
 * @param filter `before` is the id of the last order of the page before
 */
export async function listOrders(
  db: Queryable,
  filter: { userId?: string | undefined; status?: OrderStatus | undefined; before?: string | undefined; limit: number },
): Promise<Order[]> {
  const values: unknown[] = [filter.limit + 1];
  const conditions: string[] = [];
  const where = (condition: string, value: unknown) => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(`${condition} $${values.length}`);
  };
  where('user_id =', filter.userId);
  where('status =', filter.status);
  where('id <', filter.before);
  const { rows } = await db.query<OrderRow>(
    `select ${columns} from orders ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''} order by id desc limit $1`,
    values,
  );
  return rows.map(toOrder);
}

/** How many orders are pending, counted up to `atMost`. The order is for the planner: it takes the index that holds nothing but these. */
export async function countPending(db: Queryable, atMost: number): Promise<number> {
  const { rows } = await db.query<{ pending: number }>(
    `select count(*) as pending from (select 1 from orders where status = 'pending' order by pay_by limit $1) as counted`,
    [atMost],
  );
  return rows[0]?.pending ?? 0;
}

/** How many orders are pending, by their age in seconds. */
export async function countPendingByAge(db: Queryable): Promise<{ '0-10s': number; '10-60s': number; '60s-': number }> {
  const { rows } = await db.query<{ young: number; older: number; oldest: number }>(
    `select count(*) filter (where age < interval '10 s') as young,
            count(*) filter (where age >= interval '10 s' and age < interval '60 s') as older,
            count(*) filter (where age >= interval '60 s') as oldest
     from (select clock_timestamp() - created_at as age from orders where status = 'pending') as pending`,
  );
  const { young = 0, older = 0, oldest = 0 } = rows[0] ?? {};
  return { '0-10s': young, '10-60s': older, '60s-': oldest };
}

/** The pending orders whose deadline lies before `before`, the oldest deadlines first. */
export async function listOverdueOrders(
  db: Queryable,
  before: Date,
  limit: number,
): Promise<{ id: string; cause: Cause }[]> {
  const { rows } = await db.query<{ id: string; correlation_id: string; traceparent: string }>(
    `select id, correlation_id, traceparent from orders where status = 'pending' and pay_by < $1 order by pay_by limit $2`,
    [before, limit],
  );
  return rows.map((row) => ({
    id: row.id,
    cause: { correlationId: row.correlation_id, traceparent: row.traceparent },
  }));
}
