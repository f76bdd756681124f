// What the services' databases say of an order: read only, and straight from them, so that a test sees every state as soon as it is there.
import type { ServiceName } from '@glasshouse/shared/contracts';
import { type Document, MongoClient } from 'mongodb';
import pg from 'pg';

/** An event that was given to a service. */
export interface Delivery {
  eventId: string;
  to: ServiceName;
}

/** What is under way at one moment, of the orders that were asked about. */
export interface Look {
  isHandled(delivery: Delivery): boolean;
  /** Whose charge has begun and not come to an end. */
  charging: ReadonlySet<string>;
  /** What else is still to be done for an order, in words; undefined where nothing is. */
  busy(orderId: string): string | undefined;
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

export type Reader = Awaited<ReturnType<typeof openBooks>>;

const isTelling = "array(select event->>'subject' from outbox where (event->>'subject')::uuid = any($2)) as telling";
const isHandled = 'array(select event_id from inbox where event_id = any($1)) as handled';

/** One statement is one moment: what a handler or a worker commits together is seen together. */
const ordersUnderWay = `select ${isHandled}, ${isTelling}`;
const paymentsUnderWay = `select ${isHandled}, ${isTelling},
  array(select order_id from payments where order_id = any($2) and status = 'charging') as charging,
  array(select order_id from payments where order_id = any($2) and status = 'due' and reserved and not cancel_requested
          and amount is not null and pay_by > clock_timestamp()) as chargeable,
  array(select order_id from refunds join payments on payments.id = payment_id
        where order_id = any($2) and refunds.status = 'due') as refunding`;

type UnderWay = Record<string, string[]>;

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

  const lookAtPostgres = async (pool: pg.Pool, statement: string, ids: string[], orderIds: string[]) => {
    const { rows } = await pool.query<UnderWay>({ name: 'look', text: statement, values: [ids, orderIds] });
    return rows[0] ?? {};
  };
  /** In this order: what was handled has left its mark in what is read after it. */
  const lookAtMongo = async (database: string, ids: string[], name: string, filter: Document): Promise<UnderWay> => {
    const handled = await find<{ _id: string }>(database, 'inbox', { _id: { $in: ids } }, { _id: 1 });
    const found = await find(database, name, filter, { orderId: 1, 'event.subject': 1 });
    return {
      handled: handled.map(({ _id }) => _id),
      [name]: found.map((document) => document.orderId ?? document.event.subject),
    };
  };

  return {
    /** @param deliveries those that are worth asking about */
    async look(orderIds: string[], deliveries: readonly Delivery[]): Promise<Look> {
      const to = (service: ServiceName) =>
        deliveries.filter((delivery) => delivery.to === service).map(({ eventId }) => eventId);
      const [order, payment, product, notification] = await Promise.all([
        lookAtPostgres(orders, ordersUnderWay, to('order-service'), orderIds),
        lookAtPostgres(payments, paymentsUnderWay, to('payment-service'), orderIds),
        lookAtMongo('products', to('product-service'), 'outbox', { 'event.subject': { $in: orderIds } }),
        lookAtMongo('notifications', to('notification-service'), 'mails', {
          orderId: { $in: orderIds },
          status: { $ne: 'sent' },
        }),
      ]);
      const handled: Partial<Record<ServiceName, Set<string>>> = {
        'order-service': new Set(order.handled),
        'payment-service': new Set(payment.handled),
        'product-service': new Set(product.handled),
        'notification-service': new Set(notification.handled),
      };
      const busy = [
        ['order-service has something to tell', order.telling],
        ['payment-service has something to tell', payment.telling],
        ['product-service has something to tell', product.outbox],
        ['a charge is due', payment.chargeable],
        ['a refund is due', payment.refunding],
        ['a mail is not sent', notification.mails],
      ] as const;
      return {
        isHandled: (delivery) => handled[delivery.to]?.has(delivery.eventId) === true,
        charging: new Set(payment.charging),
        busy: (orderId) => busy.find(([, ids]) => ids?.includes(orderId))?.[0],
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

    async close(): Promise<void> {
      await Promise.all([orders.end(), payments.end(), mongo.close()]);
    },
  };
}
