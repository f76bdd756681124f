// The composition root: everything is made here, once, and handed on as arguments.
import { createTokenVerifier, jwksOverHttp } from '@glasshouse/shared/auth';
import { createBroker, createConsumer, createOutboxRelay, createPublisher } from '@glasshouse/shared/event-bus';
import { createHttpApp } from '@glasshouse/shared/http';
import { createLogger } from '@glasshouse/shared/logger';
import {
  createConsumerDatabase,
  createDatabase,
  createInboxPurge,
  createOutboxStore,
} from '@glasshouse/shared/postgres';
import { createService } from '@glasshouse/shared/process';
import { createTelemetry } from '@glasshouse/shared/telemetry';
import { createAdmission } from './admission.ts';
import { createProductClient } from './clients/product-client.ts';
import type { Config } from './config.ts';
import type { Deps } from './deps.ts';
import { routes } from './http/routes.ts';
import { subscriptions } from './messaging/subscriptions.ts';
import { observeOrders } from './metrics.ts';
import { createDeadlineSweep } from './workers/cancel-overdue-orders.ts';

const SERVICE = 'order-service';

export function createOrderService(config: Config) {
  const telemetry = createTelemetry(SERVICE, config);
  const logger = createLogger({ service: SERVICE, level: config.LOG_LEVEL });
  const database = createDatabase({
    url: config.DATABASE_URL,
    service: SERVICE,
    logger,
    maxConnections: config.DATABASE_POOL_SIZE,
  });
  const broker = createBroker({ url: config.RABBITMQ_URL, service: SERVICE, logger });
  const publisher = createPublisher(broker);
  const relay = createOutboxRelay({
    store: createOutboxStore(database),
    publisher,
    logger,
    sweepIntervalMs: config.OUTBOX_SWEEP_INTERVAL_MS,
  });
  const verifier = createTokenVerifier({
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    fetchKeys: jwksOverHttp(config.USER_SERVICE_URL),
    logger,
  });

  observeOrders(database);
  const deps: Deps = {
    db: database,
    products: createProductClient({ urls: config.PRODUCT_SERVICE_URL, timeoutMs: config.PRODUCT_SERVICE_TIMEOUT_MS }),
    admission: createAdmission({ db: database, maxPending: config.MAX_PENDING_ORDERS }),
    sagaTimeoutS: config.SAGA_TIMEOUT_S,
  };
  const consumer = createConsumer({
    broker,
    publisher,
    database: createConsumerDatabase(database),
    subscriptions,
    deps,
    logger,
    prefetch: config.CONSUMER_PREFETCH,
  });
  const deadlineSweep = createDeadlineSweep({
    database,
    consumer,
    logger,
    intervalMs: config.DEADLINE_SWEEP_INTERVAL_MS,
    settleMs: config.DEADLINE_SETTLE_MS,
  });
  const http = createHttpApp({
    routes: routes(deps),
    verifier,
    readiness: {
      conditions: { database: database.isUp, keys: verifier.hasKeys },
      reported: { broker: broker.state },
    },
    logger,
    host: config.HOST,
    port: config.PORT,
  });

  const parts = [
    telemetry,
    database,
    broker,
    relay,
    createInboxPurge(database, logger),
    consumer,
    deadlineSweep,
    verifier,
    http,
  ];
  return { service: createService(parts, logger), logger, shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS, http };
}
