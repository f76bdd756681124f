// The URL table.
import { accepted, ok, type Route, route } from '@glasshouse/shared/http';
import type { Deps } from '../deps.ts';
import { invoiceNotPossible, notCaptured, otherCurrency, paymentNotFound, tooMuch } from '../domain/errors.ts';
import { getInvoice } from '../handlers/get-invoice.ts';
import { getPayment, getPayments } from '../handlers/get-payment.ts';
import { requestRefund } from '../handlers/request-refund.ts';
import {
  invoiceSchema,
  listPaymentsQuery,
  paymentListSchema,
  paymentSchema,
  refundSchema,
  requestRefundBody,
  toInvoiceJson,
  toPaymentJson,
  toRefundJson,
} from './schemas.ts';

export const routes = (deps: Deps): Route[] => [
  route({
    method: 'get',
    path: '/v1/payments',
    access: 'user',
    operationId: 'listPayments',
    summary: 'List payments, newest first',
    query: listPaymentsQuery,
    answers: { 200: paymentListSchema },
    async handle({ user, query }) {
      const { items, nextCursor } = await getPayments({ ...query, user }, deps);
      return ok({ items: items.map(toPaymentJson), nextCursor });
    },
  }),
  route({
    method: 'get',
    path: '/v1/payments/:id',
    access: 'user',
    operationId: 'getPayment',
    summary: 'Get a payment',
    answers: { 200: paymentSchema },
    problems: [paymentNotFound()],
    handle: async ({ user, params }) => ok(toPaymentJson(await getPayment({ paymentId: params.id, user }, deps))),
  }),
  route({
    method: 'get',
    path: '/v1/payments/:id/invoice',
    access: 'user',
    operationId: 'getInvoice',
    summary: 'Get the invoice of a captured payment',
    answers: { 200: invoiceSchema },
    problems: [paymentNotFound(), invoiceNotPossible('due')],
    handle: async ({ user, params }) => ok(toInvoiceJson(await getInvoice({ paymentId: params.id, user }, deps))),
  }),
  route({
    method: 'post',
    path: '/v1/payments/:id/refunds',
    access: 'admin',
    operationId: 'requestRefund',
    summary: 'Give money back',
    body: requestRefundBody,
    idempotent: true,
    answers: { 202: refundSchema },
    problems: [paymentNotFound(), notCaptured('due'), tooMuch(1500), otherCurrency('USD')],
    async handle({ user: { userId }, params, body, operation, idempotencyKey: key }) {
      const request = { userId, operation, key, body };
      return accepted(toRefundJson(await requestRefund({ ...body, paymentId: params.id, request }, deps)));
    },
  }),
];
