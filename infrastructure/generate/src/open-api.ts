// The OpenAPI documents: each service's, from its own routes, and the gateway's, which is all of them as the outside sees them.
import {
  createOpenApiDocument,
  type KnownError,
  type OpenApiDocument,
  publicPath,
  type Route,
  type RouteDescription,
} from '@glasshouse/shared/http';
import { z } from 'zod';
import {
  answerMalformed,
  answerTooLarge,
  rateLimitExceeded,
  upstreamTimeout,
  upstreamUnavailable,
} from '../../../api-gateway/src/http/problems.ts';
import { isCatalogue, type UpstreamName } from '../../../api-gateway/src/http/routes.ts';
import { overviewSchema } from '../../../api-gateway/src/http/schemas.ts';
import { routes as notificationRoutes } from '../../../notification-service/src/http/routes.ts';
import { mailSchema } from '../../../notification-service/src/http/schemas.ts';
import { routes as orderRoutes } from '../../../order-service/src/http/routes.ts';
import { orderSchema } from '../../../order-service/src/http/schemas.ts';
import { routes as paymentRoutes } from '../../../payment-service/src/http/routes.ts';
import { paymentSchema } from '../../../payment-service/src/http/schemas.ts';
import { routes as productRoutes } from '../../../product-service/src/http/routes.ts';
import { productSchema } from '../../../product-service/src/http/schemas.ts';
import { routes as userRoutes } from '../../../user-service/src/http/routes.ts';

/** No handler is called: the tables alone are looked at. */
const unused = {} as never;

/** Each service's URL table, and the port that it has on one machine. */
export const services: Record<UpstreamName, { port: number; description: string; routes: Route[] }> = {
  'user-service': { port: 3001, description: 'Accounts and tokens.', routes: userRoutes(unused) },
  'product-service': { port: 3002, description: 'The catalogue and its stock.', routes: productRoutes(unused) },
  'order-service': { port: 3003, description: 'Orders and their fate.', routes: orderRoutes(unused) },
  'payment-service': { port: 3004, description: 'Charges and refunds.', routes: paymentRoutes(unused) },
  'notification-service': { port: 3005, description: 'Mails to customers.', routes: notificationRoutes(unused) },
};

export function serviceDocument(name: UpstreamName): OpenApiDocument {
  const { port, description, routes } = services[name];
  return createOpenApiDocument({ title: name, description, url: `http://localhost:${port}`, routes });
}

const problemsBefore = (name: UpstreamName): KnownError[] => [
  rateLimitExceeded(),
  upstreamUnavailable(name),
  upstreamTimeout(name),
  answerTooLarge(),
];

/** The call that the gateway answers itself, from what four services say. */
function overview(): RouteDescription {
  const order = orderRoutes(unused).find(({ operationId }) => operationId === 'getOrder');
  if (order === undefined) throw new Error('order-service has no getOrder');
  const schema = z
    .object({
      ...overviewSchema.shape,
      order: orderSchema,
      payment: paymentSchema.nullable(),
      products: z.array(productSchema),
      notifications: z.array(mailSchema),
    })
    .meta({ id: 'OrderOverview', examples: overviewSchema.meta()?.examples });
  return {
    ...order,
    path: '/api/v1/orders/:id/overview',
    operationId: 'getOrderOverview',
    summary: 'Get an order with its payment, its products and its mails; what can not be had right now is named',
    answers: { 200: schema },
    problems: [...outside('order-service', order).problems, answerMalformed()],
  };
}

/** A service's route as the outside sees it. */
function outside(name: UpstreamName, route: Route): RouteDescription {
  return {
    ...route,
    path: publicPath(route.path),
    mayBeCopy: isCatalogue({ ...route, upstream: name }),
    problems: [...route.problems, ...problemsBefore(name)],
  };
}

/** All of them, as the gateway serves them. */
export function gatewayDocument(): OpenApiDocument {
  return createOpenApiDocument({
    title: 'Glasshouse',
    description:
      'An e-commerce platform that you can see through. Log in, and send the access token with the other calls: the page at /api/docs does that by itself.',
    url: '/',
    routes: [
      ...(Object.entries(services) as [UpstreamName, { routes: Route[] }][]).flatMap(([name, { routes }]) =>
        routes.map((route) => outside(name, route)),
      ),
      overview(),
    ],
  });
}
