// The composition root: everything is made here, once, and handed on as arguments.
import { createTokenVerifier, jwksOverHttp } from '@glasshouse/shared/auth';
import { createLogger } from '@glasshouse/shared/logger';
import { createService, type Part } from '@glasshouse/shared/process';
import { createMetricsServer, setupContext } from '@glasshouse/shared/telemetry';
import { createUpstreamProxy } from './clients/proxy.ts';
import { createUpstream, type Upstream } from './clients/upstream.ts';
import type { Config } from './config.ts';
import { createGatewayServer } from './http/app.ts';
import { createRateLimits } from './http/rate-limits.ts';
import type { UpstreamName } from './http/routes.ts';

const SERVICE = 'api-gateway';

export function createApiGateway(config: Config) {
  setupContext();
  const metrics = createMetricsServer(SERVICE, config);
  const logger = createLogger({ service: SERVICE, level: config.LOG_LEVEL });
  const verifier = createTokenVerifier({
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    fetchKeys: jwksOverHttp(config.USER_SERVICE_URL),
    logger,
  });
  const proxy = createUpstreamProxy({ timeoutMs: config.UPSTREAM_TIMEOUT_MS });
  const upstream = (name: UpstreamName, urls: readonly string[]) =>
    createUpstream({
      name,
      urls,
      proxy,
      maxInFlight: config.UPSTREAM_MAX_IN_FLIGHT,
      breakerResetMs: config.UPSTREAM_BREAKER_RESET_MS,
      logger,
    });
  const upstreams: Record<UpstreamName, Upstream> = {
    'user-service': upstream('user-service', config.USER_SERVICE_URL),
    'product-service': upstream('product-service', config.PRODUCT_SERVICE_URL),
    'order-service': upstream('order-service', config.ORDER_SERVICE_URL),
    'payment-service': upstream('payment-service', config.PAYMENT_SERVICE_URL),
    'notification-service': upstream('notification-service', config.NOTIFICATION_SERVICE_URL),
  };
  const connections: Part = {
    name: 'upstream connections',
    async start() {},
    async stop() {
      for (const each of Object.values(upstreams)) each.close();
      proxy.close();
    },
  };
  const http = createGatewayServer({
    upstreams,
    rateLimits: createRateLimits({
      generalPerMinute: config.RATE_LIMIT_PER_MINUTE,
      authPerMinute: config.AUTH_RATE_LIMIT_PER_MINUTE,
      verifier,
    }),
    verifier,
    trustedProxyHops: config.TRUSTED_PROXY_HOPS,
    logger,
    host: config.HOST,
    port: config.PORT,
  });

  const parts = [metrics, connections, verifier, http];
  return { service: createService(parts, logger), logger, shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS, http };
}
