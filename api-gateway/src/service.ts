// The composition root: everything is made here, once, and handed on as arguments.
import { createTokenVerifier, jwksOverHttp } from '@glasshouse/shared/auth';
import { createLogger } from '@glasshouse/shared/logger';
import { createService, type Part } from '@glasshouse/shared/process';
import { createTelemetry } from '@glasshouse/shared/telemetry';
import { createUpstreamProxy } from './clients/proxy.ts';
import { createSharedCounts } from './clients/shared-counts.ts';
import { createUpstream, type Upstream } from './clients/upstream.ts';
import type { Config } from './config.ts';
import { createGatewayServer } from './http/app.ts';
import { createLastGoodCopies } from './http/last-good-copies.ts';
import { createOverview } from './http/overview.ts';
import { createRateLimits } from './http/rate-limits.ts';
import type { UpstreamName } from './http/routes.ts';

const SERVICE = 'api-gateway';

export function createApiGateway(config: Config) {
  const telemetry = createTelemetry(SERVICE, config, { isEdge: true });
  const logger = createLogger({ service: SERVICE, level: config.LOG_LEVEL });
  const verifier = createTokenVerifier({
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    fetchKeys: jwksOverHttp(config.USER_SERVICE_URL),
    logger,
  });
  const proxy = createUpstreamProxy({
    timeoutMs: config.UPSTREAM_TIMEOUT_MS,
    maxAnswerBytes: config.UPSTREAM_MAX_ANSWER_BYTES,
  });
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
  const shared = config.REDIS_URL === undefined ? undefined : createSharedCounts({ url: config.REDIS_URL, logger });
  const http = createGatewayServer({
    upstreams,
    ownAnswers: {
      overview: createOverview({
        upstreams,
        timeoutMs: config.UPSTREAM_TIMEOUT_MS,
        partTimeoutMs: config.OVERVIEW_PART_TIMEOUT_MS,
        maxInFlight: config.UPSTREAM_MAX_IN_FLIGHT,
        logger,
      }),
    },
    lastGoodCopies: createLastGoodCopies({
      maxBytes: config.LAST_GOOD_MAX_BYTES,
      maxAgeS: config.LAST_GOOD_MAX_AGE_S,
    }),
    rateLimits: createRateLimits({
      generalPerMinute: config.RATE_LIMIT_PER_MINUTE,
      authPerMinute: config.AUTH_RATE_LIMIT_PER_MINUTE,
      verifier,
      shared,
    }),
    verifier,
    corsOrigins: config.CORS_ORIGINS ?? [],
    hstsMaxAgeS: config.HSTS_MAX_AGE_S,
    trustedProxyHops: config.TRUSTED_PROXY_HOPS,
    logger,
    host: config.HOST,
    port: config.PORT,
  });

  const parts = [telemetry, connections, ...(shared === undefined ? [] : [shared]), verifier, http];
  return { service: createService(parts, logger), logger, shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS, http };
}
