// The composition root: everything is made here, once, and handed on as arguments.
import { createTokenVerifier, jwksOverHttp } from '@glasshouse/shared/auth';
import { createBroker, createConsumer, createPublisher } from '@glasshouse/shared/event-bus';
import { createHttpApp } from '@glasshouse/shared/http';
import { createLogger } from '@glasshouse/shared/logger';
import { createConsumerDatabase, createDatabase } from '@glasshouse/shared/mongo';
import { createService } from '@glasshouse/shared/process';
import { createTelemetry } from '@glasshouse/shared/telemetry';
import { createMailClient } from './clients/mail-client.ts';
import type { Config } from './config.ts';
import type { Deps } from './deps.ts';
import { routes } from './http/routes.ts';
import { subscriptions } from './messaging/subscriptions.ts';
import { createMailWorker } from './workers/send-due-mails.ts';

const SERVICE = 'notification-service';

export function createNotificationService(config: Config) {
  const telemetry = createTelemetry(SERVICE, config);
  const logger = createLogger({ service: SERVICE, level: config.LOG_LEVEL });
  const database = createDatabase({
    url: config.MONGO_URL,
    service: SERVICE,
    logger,
    maxConnections: config.DATABASE_POOL_SIZE,
  });
  const broker = createBroker({ url: config.RABBITMQ_URL, service: SERVICE, logger });
  const publisher = createPublisher(broker);
  const mailClient = createMailClient({
    url: config.SMTP_URL,
    from: config.MAIL_FROM,
    connections: config.SMTP_CONNECTIONS,
    timeoutMs: config.SMTP_TIMEOUT_MS,
  });
  const mailWorker = createMailWorker({
    database,
    mailClient,
    logger,
    concurrency: config.SMTP_CONNECTIONS,
    sweepIntervalMs: config.MAIL_SWEEP_INTERVAL_MS,
  });
  const verifier = createTokenVerifier({
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    fetchKeys: jwksOverHttp(config.USER_SERVICE_URL),
    logger,
  });

  const deps: Deps = { db: database, mailWorker };
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
      reported: { broker: broker.state, mailServer: mailClient.state },
    },
    logger,
    host: config.HOST,
    port: config.PORT,
  });

  const parts = [telemetry, database, mailClient, mailWorker, broker, consumer, verifier, http];
  return { service: createService(parts, logger), logger, shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS, http };
}
