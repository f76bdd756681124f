// The URL table.
import { accepted, created, ok, type Route, route } from '@glasshouse/shared/http';
import type { Deps } from '../deps.ts';
import {
  mixedCurrencies,
  orderNotCancellable,
  orderNotDeliverable,
  orderNotFound,
  orderNotShippable,
  priceChanged,
  productServiceUnavailable,
  tooManyPending,
  unknownProduct,
} from '../domain/errors.ts';
import { cancelOrder } from '../handlers/cancel-order.ts';
import { deliverOrder } from '../handlers/deliver-order.ts';
import { getOrder, getOrders, getTimeline } from '../handlers/get-order.ts';
import { placeOrder } from '../handlers/place-order.ts';
import { shipOrder } from '../handlers/ship-order.ts';
import {
  listOrdersQuery,
  orderListSchema,
  orderSchema,
  placeOrderBody,
  timelineSchema,
  toOrderJson,
  toTimelineJson,
} from './schemas.ts';

export const routes = (deps: Deps): Route[] => [
  route({
    method: 'post',
    path: '/v1/orders',
    access: 'user',
    operationId: 'placeOrder',
    summary: 'Place an order',
    body: placeOrderBody,
    idempotent: true,
    answers: { 201: orderSchema },
    problems: [
      unknownProduct('019b8d2b-8c00-7af8-b33f-d5143135f3c8'),
      mixedCurrencies(),
      priceChanged(),
      tooManyPending(),
      productServiceUnavailable(),
    ],
    async handle({ user: { userId }, body, operation, idempotencyKey: key }) {
      const order = await placeOrder({ ...body, userId, request: { userId, operation, key, body } }, deps);
      return created(toOrderJson(order), `/api/v1/orders/${order.id}`);
    },
  }),
  route({
    method: 'get',
    path: '/v1/orders',
    access: 'user',
    operationId: 'listOrders',
    summary: 'List orders, newest first',
    query: listOrdersQuery,
    answers: { 200: orderListSchema },
    async handle({ user, query }) {
      const { items, nextCursor } = await getOrders({ ...query, user }, deps);
      return ok({ items: items.map(toOrderJson), nextCursor });
    },
  }),
  route({
    method: 'get',
    path: '/v1/orders/:id',
    access: 'user',
    operationId: 'getOrder',
    summary: 'Get an order',
    answers: { 200: orderSchema },
    problems: [orderNotFound()],
    handle: async ({ user, params }) => ok(toOrderJson(await getOrder({ orderId: params.id, user }, deps))),
  }),
  route({
    method: 'get',
    path: '/v1/orders/:id/timeline',
    access: 'user',
    operationId: 'getTimeline',
    summary: 'See what happened to an order',
    answers: { 200: timelineSchema },
    problems: [orderNotFound()],
    handle: async ({ user, params }) => ok(toTimelineJson(await getTimeline({ orderId: params.id, user }, deps))),
  }),
  route({
    method: 'post',
    path: '/v1/orders/:id/cancel',
    access: 'user',
    operationId: 'cancelOrder',
    summary: 'Cancel an order that was not shipped yet',
    answers: { 202: orderSchema },
    problems: [orderNotFound(), orderNotCancellable('shipped')],
    handle: async ({ user, params }) =>
      accepted(toOrderJson(await cancelOrder({ orderId: params.id, reason: 'customer', user }, deps))),
  }),
  route({
    method: 'post',
    path: '/v1/orders/:id/ship',
    access: 'admin',
    operationId: 'shipOrder',
    summary: 'Ship a confirmed order',
    answers: { 200: orderSchema },
    problems: [orderNotFound(), orderNotShippable('cancelled')],
    handle: async ({ params }) => ok(toOrderJson(await shipOrder({ orderId: params.id }, deps))),
  }),
  route({
    method: 'post',
    path: '/v1/orders/:id/deliver',
    access: 'admin',
    operationId: 'deliverOrder',
    summary: 'Note that a shipped order was delivered',
    answers: { 200: orderSchema },
    problems: [orderNotFound(), orderNotDeliverable('confirmed')],
    handle: async ({ params }) => ok(toOrderJson(await deliverOrder({ orderId: params.id }, deps))),
  }),
];
