// The invoice of a payment, for whoever may see the payment.
import type { Identity } from '@glasshouse/shared/auth';
import { listRefunds } from '../data/refund-repository.ts';
import type { Deps } from '../deps.ts';
import { type Invoice, invoiceOf } from '../domain/invoice.ts';
import { getPayment } from './get-payment.ts';

/** @throws AppError `not-found`, also where the payment is somebody else's; `conflict` where nothing was captured */
export async function getInvoice(
  query: { paymentId: string; user: Identity },
  deps: Pick<Deps, 'db'>,
): Promise<Invoice> {
  const payment = await getPayment(query, deps);
  return invoiceOf(payment, await listRefunds(deps.db, payment.id));
}
