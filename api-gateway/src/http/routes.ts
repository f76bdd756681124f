// The URL table: every path that the outside may call, who may call it, and who answers: a service, or the gateway itself. What is not here does not exist.
import type { Access, Route } from '@glasshouse/shared/http';

export const upstreamNames = [
  'user-service',
  'product-service',
  'order-service',
  'payment-service',
  'notification-service',
] as const;
export type UpstreamName = (typeof upstreamNames)[number];

/** What the gateway answers by itself. */
export type OwnAnswer = 'overview';

interface Row extends Pick<Route, 'method' | 'path'> {
  access: Access;
  /** Which limit counts: `auth` where a password or a refresh token could be guessed. */
  rate: 'general' | 'auth';
}
export interface ForwardedRoute extends Row {
  upstream: UpstreamName;
}
export interface OwnRoute extends Row {
  own: OwnAnswer;
  upstream?: undefined;
}
export type GatewayRoute = ForwardedRoute | OwnRoute;

/** What anybody may read of product-service, and get as a copy while it can't answer. */
export const isCatalogue = ({ method, access, upstream }: Pick<GatewayRoute, 'method' | 'access' | 'upstream'>) =>
  method === 'get' && access === 'anyone' && upstream === 'product-service';

const row = (
  method: Row['method'],
  path: string,
  access: Access,
  upstream: UpstreamName,
  rate: Row['rate'] = 'general',
): ForwardedRoute => ({ method, path, access, upstream, rate });

const ownRow = (method: Row['method'], path: string, access: Access, own: OwnAnswer): OwnRoute => ({
  method,
  path,
  access,
  own,
  rate: 'general',
});

export const routes: readonly GatewayRoute[] = [
  row('get', '/.well-known/jwks.json', 'anyone', 'user-service'),
  row('post', '/api/v1/auth/register', 'anyone', 'user-service', 'auth'),
  row('post', '/api/v1/auth/login', 'anyone', 'user-service', 'auth'),
  row('post', '/api/v1/auth/refresh', 'anyone', 'user-service', 'auth'),
  row('post', '/api/v1/auth/logout', 'anyone', 'user-service'),
  row('get', '/api/v1/users/me', 'user', 'user-service'),
  row('patch', '/api/v1/users/me', 'user', 'user-service'),
  row('get', '/api/v1/users/me/addresses', 'user', 'user-service'),
  row('post', '/api/v1/users/me/addresses', 'user', 'user-service'),
  row('delete', '/api/v1/users/me/addresses/:id', 'user', 'user-service'),
  row('get', '/api/v1/users', 'admin', 'user-service'),
  // After `me`, which it would take for an id.
  row('get', '/api/v1/users/:id', 'admin', 'user-service'),

  row('get', '/api/v1/products', 'anyone', 'product-service'),
  row('post', '/api/v1/products', 'admin', 'product-service'),
  row('get', '/api/v1/products/:id', 'anyone', 'product-service'),
  row('patch', '/api/v1/products/:id', 'admin', 'product-service'),
  row('delete', '/api/v1/products/:id', 'admin', 'product-service'),
  row('post', '/api/v1/products/:id/stock', 'admin', 'product-service'),
  row('get', '/api/v1/products/:id/reviews', 'anyone', 'product-service'),
  row('post', '/api/v1/products/:id/reviews', 'user', 'product-service'),
  row('get', '/api/v1/categories', 'anyone', 'product-service'),

  row('get', '/api/v1/orders', 'user', 'order-service'),
  row('post', '/api/v1/orders', 'user', 'order-service'),
  row('get', '/api/v1/orders/:id', 'user', 'order-service'),
  row('get', '/api/v1/orders/:id/timeline', 'user', 'order-service'),
  ownRow('get', '/api/v1/orders/:id/overview', 'user', 'overview'),
  row('post', '/api/v1/orders/:id/cancel', 'user', 'order-service'),
  row('post', '/api/v1/orders/:id/ship', 'admin', 'order-service'),
  row('post', '/api/v1/orders/:id/deliver', 'admin', 'order-service'),

  row('get', '/api/v1/payments', 'user', 'payment-service'),
  row('get', '/api/v1/payments/:id', 'user', 'payment-service'),
  row('get', '/api/v1/payments/:id/invoice', 'user', 'payment-service'),
  row('post', '/api/v1/payments/:id/refunds', 'admin', 'payment-service'),

  row('get', '/api/v1/notifications', 'user', 'notification-service'),
];
