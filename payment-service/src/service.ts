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
import { createService, type Part } from '@glasshouse/shared/process';
import { createTelemetry } from '@glasshouse/shared/telemetry';
import { createPaymentProvider } from './clients/payment-provider.ts';
import type { Config } from './config.ts';
import type { Deps } from './deps.ts';
import { routes } from './http/routes.ts';
import { subscriptions } from './messaging/subscriptions.ts';
import { createChargeWorker } from './workers/charge-due-payments.ts';
import { createRefundWorker } from './workers/make-due-refunds.ts';

const SERVICE = 'payment-service';

export function createPaymentService(config: Config) {
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

  const provider = createPaymentProvider({
    apiKey: config.STRIPE_API_KEY,
    apiUrl: config.STRIPE_API_URL,
    timeoutMs: config.STRIPE_TIMEOUT_MS,
  });
  const workerOptions = {
    database,
    provider,
    logger,
    concurrency: config.CHARGE_CONCURRENCY,
    sweepIntervalMs: config.PAYMENT_SWEEP_INTERVAL_MS,
  };
  const refundWorker = createRefundWorker(workerOptions);
  const chargeWorker = createChargeWorker({ ...workerOptions, wakeRefunds: refundWorker.wake });

  const deps: Deps = { db: database, wakeCharges: chargeWorker.wake, wakeRefunds: refundWorker.wake };
  const consumer = createConsumer({
    broker,
    publisher,
    database: createConsumerDatabase(database),
    subscriptions,
    deps,
    logger,
    prefetch: config.CONSUMER_PREFETCH,
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

  const providerPart: Part = { name: 'payment provider', async start() {}, stop: async () => provider.stop() };
  const parts = [
    telemetry,
    database,
    broker,
    relay,
    createInboxPurge(database, logger),
    providerPart,
    refundWorker,
    chargeWorker,
    consumer,
    verifier,
    http,
  ];
  return { service: createService(parts, logger), logger, shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS, http };
}
