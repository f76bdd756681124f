// What the audited books come to, all in all.
import type { Money } from '@glasshouse/shared/contracts';
import type { AuditData } from './read/sources.ts';

export interface Totals {
  /** Orders by status. */
  orders: Record<string, number>;
  /** By currency, in minor units. */
  captured: Money[];
  refunded: Money[];
  unitsSold: number;
}

export function totalsOf({ orders, payments, products }: AuditData): Totals {
  const byStatus: Record<string, number> = {};
  for (const { status } of orders.orders.values()) byStatus[status] = (byStatus[status] ?? 0) + 1;
  const captured = new Map<string, number>();
  const refunded = new Map<string, number>();
  const add = (sums: Map<string, number>, currency: string, amount: number) =>
    sums.set(currency, (sums.get(currency) ?? 0) + amount);
  for (const { status, amount, currency, refunds } of payments.payments) {
    if (amount === null || currency === null) continue;
    if (status === 'captured') add(captured, currency, amount);
    for (const refund of refunds) if (refund.status === 'succeeded') add(refunded, currency, refund.amount);
  }
  const asMoney = (sums: Map<string, number>): Money[] =>
    [...sums]
      .map(([currency, amount]) => ({ amount, currency }))
      .toSorted((a, b) => (a.currency < b.currency ? -1 : 1));
  let unitsSold = 0;
  for (const { sold } of products.products.values()) unitsSold += sold;
  return { orders: byStatus, captured: asMoney(captured), refunded: asMoney(refunded), unitsSold };
}
