// All that the auditor reads, opened and closed together.
import type { Config } from '../config.ts';
import { type LedgerCharge, readLedger } from './ledger.ts';
import { openMongo } from './mongo.ts';
import { type NotificationData, readNotifications } from './notifications.ts';
import { type OrderData, readOrders } from './orders.ts';
import { type PaymentData, readPayments } from './payments.ts';
import { openPostgres } from './postgres.ts';
import { type ProductData, readProducts } from './products.ts';
import { type Queue, readQueues } from './queues.ts';
import { readUsers, type UserData } from './users.ts';

/** What the equations are about. */
export interface AuditData {
  users: UserData;
  orders: OrderData;
  payments: PaymentData;
  products: ProductData;
  notifications: NotificationData;
  ledger: LedgerCharge[];
  queues: Queue[];
}

export type Sources = Awaited<ReturnType<typeof openSources>>;

/** @throws Unreachable where one of them can't be had */
export async function openSources(config: Config) {
  const opening = [
    openPostgres('user-service', config.AUDIT_USER_SERVICE_DATABASE_URL),
    openPostgres('order-service', config.AUDIT_ORDER_SERVICE_DATABASE_URL),
    openPostgres('payment-service', config.AUDIT_PAYMENT_SERVICE_DATABASE_URL),
    openMongo('product-service', config.AUDIT_PRODUCT_SERVICE_DATABASE_URL),
    openMongo('notification-service', config.AUDIT_NOTIFICATION_SERVICE_DATABASE_URL),
  ] as const;
  const close = async () => {
    for (const opened of await Promise.allSettled(opening))
      if (opened.status === 'fulfilled') await opened.value.close();
  };
  try {
    const [users, orders, payments, products, notifications] = await Promise.all(opening);
    return {
      users,
      orders,
      payments,
      products,
      notifications,
      queues: () => readQueues(config.AUDIT_RABBITMQ_MANAGEMENT_URL, config.AUDIT_VHOST),
      ledger: () => readLedger(config.AUDIT_LEDGER_URL),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Reads everything. Each database is seen as it is at one moment; the moments are close together, not the same. */
export async function readAll(sources: Sources): Promise<AuditData> {
  const [users, orders, payments, products, notifications, ledger, queues] = await Promise.all([
    readUsers(sources.users),
    readOrders(sources.orders),
    readPayments(sources.payments),
    readProducts(sources.products),
    readNotifications(sources.notifications),
    sources.ledger(),
    sources.queues(),
  ]);
  return { users, orders, payments, products, notifications, ledger, queues };
}
