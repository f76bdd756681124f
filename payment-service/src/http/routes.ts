// The URL table.
import { ok, type Route, route } from '@glasshouse/shared/http';
import type { Deps } from '../deps.ts';
import { getPayment, getPayments } from '../handlers/get-payment.ts';
import { listPaymentsQuery, paymentListSchema, paymentSchema, toPaymentJson } from './schemas.ts';

export const routes = (deps: Pick<Deps, 'db'>): Route[] => [
  route({
    method: 'get',
    path: '/v1/payments',
    access: 'user',
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
    summary: 'Get a payment',
    answers: { 200: paymentSchema },
    handle: async ({ user, params }) => ok(toPaymentJson(await getPayment({ paymentId: params.id, user }, deps))),
  }),
];
