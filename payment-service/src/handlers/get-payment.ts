// Reading payments: their customer sees them, and admins do; for anyone else they do not exist.
import { type Identity, isAdmin } from '@glasshouse/shared/auth';
import { type Page, readCursor, toPage } from '@glasshouse/shared/http';
import { z } from 'zod';
import { findPayment, listPayments, type PaymentView } from '../data/payment-repository.ts';
import type { Deps } from '../deps.ts';
import { paymentNotFound } from '../domain/errors.ts';

/** @throws AppError `not-found`, also where the payment is somebody else's */
export async function getPayment(
  query: { paymentId: string; user: Identity },
  { db }: Pick<Deps, 'db'>,
): Promise<PaymentView> {
  const payment = await findPayment(db, query.paymentId);
  const isTheirs = payment?.terms !== undefined && (payment.terms.userId === query.user.userId || isAdmin(query.user));
  if (payment === undefined || !isTheirs) throw paymentNotFound();
  return payment;
}

/** A customer's own payments, an admin's view of all; newest first. */
export async function getPayments(
  query: { user: Identity; orderId?: string | undefined; cursor?: string | undefined; limit: number },
  { db }: Pick<Deps, 'db'>,
): Promise<Page<PaymentView>> {
  const { user, orderId, cursor, limit } = query;
  const before = readCursor(cursor, z.uuid());
  const payments = await listPayments(db, { userId: isAdmin(user) ? undefined : user.userId, orderId, before, limit });
  return toPage(payments, limit, (payment) => payment.id);
}
