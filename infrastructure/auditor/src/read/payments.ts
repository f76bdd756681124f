// What payment-service knows: the payments and the refunds of each.
import type { PostgresSource } from './postgres.ts';

export interface Refund {
  id: string;
  paymentId: string;
  /** In minor units of the payment's currency. */
  amount: number;
  cause: 'cancel' | 'admin';
  status: 'due' | 'succeeded' | 'failed';
}

export interface Payment {
  id: string;
  orderId: string;
  status: 'due' | 'charging' | 'captured' | 'failed' | 'void';
  /** In minor units; null where only the order's end has been heard of. */
  amount: number | null;
  currency: string | null;
  /** The provider's. */
  intentId: string | null;
  refunds: Refund[];
}

export interface PaymentData {
  payments: Payment[];
  outbox: number;
}

export function readPayments(source: PostgresSource): Promise<PaymentData> {
  return source.inSnapshot(async ({ rows, stream }) => {
    const payments = new Map<string, Payment>();
    const columns = 'id, order_id as "orderId", status, amount, currency, intent_id as "intentId"';
    for await (const row of stream<Omit<Payment, 'refunds'>>(`select ${columns} from payments`))
      payments.set(row.id, { ...row, refunds: [] });
    for await (const refund of stream<Refund>(
      'select id, payment_id as "paymentId", amount, cause, status from refunds',
    ))
      payments.get(refund.paymentId)?.refunds.push(refund);
    const [outbox] = await rows<{ rows: number }>('select count(*) as rows from outbox');
    return { payments: [...payments.values()], outbox: outbox?.rows ?? 0 };
  });
}
