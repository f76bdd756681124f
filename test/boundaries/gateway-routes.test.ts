// The gateway's URL table and the services' are the same table: what one side adds or changes alone fails here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publicPath, type Route } from '@glasshouse/shared/http';
import { routes as gatewayRoutes, type UpstreamName } from '../../api-gateway/src/http/routes.ts';
import { routes as notificationRoutes } from '../../notification-service/src/http/routes.ts';
import { routes as orderRoutes } from '../../order-service/src/http/routes.ts';
import { routes as paymentRoutes } from '../../payment-service/src/http/routes.ts';
import { routes as productRoutes } from '../../product-service/src/http/routes.ts';
import { routes as userRoutes } from '../../user-service/src/http/routes.ts';

/** No handler is called: the tables alone are looked at. */
const unused = {} as never;

const tables: Record<UpstreamName, Route[]> = {
  'user-service': userRoutes(unused),
  'product-service': productRoutes(unused),
  'order-service': orderRoutes(unused),
  'payment-service': paymentRoutes(unused),
  'notification-service': notificationRoutes(unused),
};

const line = (method: string, path: string, access: string) => `${method.toUpperCase()} ${path} for ${access}`;

for (const [service, table] of Object.entries(tables))
  test(`gateway routes: ${service} serves what the gateway offers of it, to the same callers, and nothing else`, () => {
    assert.ok(table.length > 0);
    const offered = gatewayRoutes.filter(({ upstream }) => upstream === service);
    assert.deepEqual(
      offered.map(({ method, path, access }) => line(method, path, access)).sort(),
      table.map(({ method, path, access }) => line(method, publicPath(path), access)).sort(),
    );
  });

test('gateway routes: what the gateway answers by itself is for whom its parts are', () => {
  const own = gatewayRoutes.filter((route) => route.upstream === undefined);
  assert.deepEqual(
    own.map(({ method, path, access }) => line(method, path, access)),
    ['GET /api/v1/orders/:id/overview for user'],
  );
  for (const part of ['/api/v1/orders/:id', '/api/v1/payments', '/api/v1/notifications'])
    assert.equal(gatewayRoutes.find(({ method, path }) => method === 'get' && path === part)?.access, 'user', part);
});

test('gateway routes: each is there once, and only where passwords or refresh tokens come in is the strict limit', () => {
  const keys = gatewayRoutes.map(({ method, path }) => `${method} ${path}`);
  assert.equal(new Set(keys).size, keys.length);
  const strict = gatewayRoutes.filter(({ rate }) => rate === 'auth').map(({ path }) => path);
  assert.deepEqual(strict, ['/api/v1/auth/register', '/api/v1/auth/login', '/api/v1/auth/refresh']);
});
