// What the services' databases say of an order: read only, and straight from them, so that a test sees every state as soon as it is there.
import { type Document, MongoClient } from 'mongodb';
import pg from 'pg';

/** The services that hear of the saga's events. */
export const listeners = ['product-service', 'payment-service', 'order-service', 'notification-service'] as const;
export type Listener = (typeof listeners)[number];

/** What is under way in one service at one moment, of the orders and events that were asked about. */
export interface Look {
  /** The ids of the events that it has handled. */
  handled: ReadonlySet<string>;
  /** What is still to be done for an order, in words; undefined where nothing is. */
  busyWith(orderId: string): string | undefined;
  /** The orders whose charge has begun and not come to an end. */
  charging: ReadonlySet<string>;
}

/** What all services say of one order. Amounts in minor units. */
export interface Books {
  order: { status: string; cancel_reason: string | null };
  payment: { id: string; status: string; amount: number } | undefined;
  refunds: { id: string; amount: number; status: string }[];
  reservation: string | undefined;
  products: { available: number; held: number; sold: number }[];
  mails: { occasion: string; status: string }[];
}

/** One statement is one moment: what a handler or a worker commits together is seen together. */
const outboxAndInbox = `array(select event_id from inbox where event_id = any($1)) as handled,
  array(select event->>'subject' from outbox where (event->>'subject')::uuid = any($2)) as telling`;
const orderServiceUnderWay = `select ${outboxAndInbox}`;
const paymentServiceUnderWay = `select ${outboxAndInbox},
  array(select order_id from payments where order_id = any($2) and status = 'charging') as charging,
  array(select order_id from payments where order_id = any($2) and status = 'due' and reserved and not cancel_requested
          and amount is not null and pay_by > clock_timestamp()) as "charge due",
  array(select order_id from refunds join payments on payments.id = payment_id
        where order_id = any($2) and refunds.status = 'due') as "refund due"`;

/** @param admin a platform's superuser's access */
export async function openBooks(admin: { postgresUrl: string | undefined; mongoUrl: string }) {
  const open = (database: string) => {
    const url = new URL(admin.postgresUrl ?? '');
    url.pathname = database;
    return new pg.Pool({
      connectionString: url.href,
      max: 2,
      options: '-c default_transaction_read_only=on',
    });
  };
  const orders = open('orders');
  const payments = open('payments');
  const mongo = await MongoClient.connect(admin.mongoUrl);
  const find = <D extends Document>(database: string, name: string, filter: Document, fields: Document) =>
    mongo.db(database).collection(name).find<D>(filter).project<D>(fields).toArray();

  const inPostgres = async (pool: pg.Pool, statement: string, eventIds: string[], orderIds: string[]) => {
    const { rows } = await pool.query<Record<string, string[]>>({
      name: 'look',
      text: statement,
      values: [eventIds, orderIds],
    });
    return rows[0] ?? {};
  };
  const handledInMongo = async (database: string, eventIds: string[]) =>
    (await find<{ _id: string }>(database, 'inbox', { _id: { $in: eventIds } }, { _id: 1 })).map(({ _id }) => _id);

  /** The ids of orders, and of handled events, by what is said of them. */
  const underWay: Record<Listener, (eventIds: string[], orderIds: string[]) => Promise<Record<string, string[]>>> = {
    'order-service': (...ids) => inPostgres(orders, orderServiceUnderWay, ...ids),
    'payment-service': (...ids) => inPostgres(payments, paymentServiceUnderWay, ...ids),
    // Inboxes first: what was handled by then has left its mark in what is read after.
    async 'product-service'(eventIds, orderIds) {
      const handled = await handledInMongo('products', eventIds);
      const subject = { 'event.subject': { $in: orderIds } };
      const rows = await find<{ event: { subject: string } }>('products', 'outbox', subject, { 'event.subject': 1 });
      return { handled, telling: rows.map(({ event }) => event.subject) };
    },
    async 'notification-service'(eventIds, orderIds) {
      const handled = await handledInMongo('notifications', eventIds);
      const filter = { orderId: { $in: orderIds }, status: { $ne: 'sent' } };
      const mails = await find<{ orderId: string }>('notifications', 'mails', filter, { orderId: 1 });
      return { handled, 'mail due': mails.map(({ orderId }) => orderId) };
    },
  };

  return {
    async look(service: Listener, eventIds: string[], orderIds: string[]): Promise<Look> {
      const { handled, charging, ...rest } = await underWay[service](eventIds, orderIds);
      return {
        handled: new Set(handled),
        busyWith: (orderId) => Object.entries(rest).find(([, ids]) => ids.includes(orderId))?.[0],
        charging: new Set(charging),
      };
    },

    async read(orderId: string, productIds: string[]): Promise<Books> {
      const [order, payment, refunds, reservations, products, mails] = await Promise.all([
        orders.query('select status, cancel_reason from orders where id = $1', [orderId]),
        payments.query('select id, status, amount::int from payments where order_id = $1', [orderId]),
        payments.query(
          `select refunds.id, refunds.amount::int, refunds.status from refunds join payments on payments.id = payment_id
           where order_id = $1 order by refunds.id`,
          [orderId],
        ),
        find('products', 'reservations', { _id: orderId }, { state: 1 }),
        find('products', 'products', { _id: { $in: productIds } }, { _id: 0, available: 1, held: 1, sold: 1 }),
        find('notifications', 'mails', { orderId }, { _id: 0, occasion: 1, status: 1 }),
      ]);
      return {
        order: order.rows[0],
        payment: payment.rows[0],
        refunds: refunds.rows,
        reservation: reservations[0]?.state,
        products,
        mails,
      } as Books;
    },

    /** The ids of the orders' payments and refunds. */
    async paymentsOf(orderIds: string[]): Promise<string[]> {
      const { rows } = await payments.query<{ id: string }>(
        `select id from payments where order_id = any($1)
         union all select refunds.id from refunds join payments on payments.id = payment_id where order_id = any($1)`,
        [orderIds],
      );
      return rows.map(({ id }) => id);
    },

    async close(): Promise<void> {
      await Promise.all([orders.end(), payments.end(), mongo.close()]);
    },
  };
}
