// The composition root: everything is made here, once, and handed on as arguments.
import { createTokenVerifier } from '@glasshouse/shared/auth';
import { createBroker, createOutboxRelay, createPublisher } from '@glasshouse/shared/event-bus';
import { createHttpApp } from '@glasshouse/shared/http';
import { createLogger } from '@glasshouse/shared/logger';
import { createDatabase, createOutboxStore } from '@glasshouse/shared/postgres';
import { createService } from '@glasshouse/shared/process';
import { createTelemetry } from '@glasshouse/shared/telemetry';
import type { Config } from './config.ts';
import type { Deps } from './deps.ts';
import { routes } from './http/routes.ts';
import { createAccessTokens } from './security/access-tokens.ts';
import { createLoginGuard } from './security/login-guard.ts';
import { createPasswords } from './security/passwords.ts';
import { createSigningKeys } from './security/signing-keys.ts';
import { createPurge } from './workers/purge-ended.ts';

const SERVICE = 'user-service';

export function createUserService(config: Config) {
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
  const signingKeys = createSigningKeys({
    database,
    encryptionKey: config.KEY_ENCRYPTION_KEY,
    accessTokenTtlS: config.ACCESS_TOKEN_TTL_S,
    logger,
  });
  const verifier = createTokenVerifier({
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    fetchKeys: async () => {
      await signingKeys.current(database);
      return signingKeys.publicKeys(database);
    },
    logger,
  });

  const deps: Deps = {
    db: database,
    passwords: createPasswords({
      memoryKib: config.ARGON2_MEMORY_KIB,
      passes: config.ARGON2_PASSES,
      concurrency: config.ARGON2_CONCURRENCY,
    }),
    loginGuard: createLoginGuard({
      secret: config.KEY_ENCRYPTION_KEY,
      free: { account: config.LOGIN_FAILURES_PER_ACCOUNT, address: config.LOGIN_FAILURES_PER_ADDRESS },
      logger,
    }),
    signingKeys,
    accessTokens: createAccessTokens({
      issuer: config.JWT_ISSUER,
      audience: config.JWT_AUDIENCE,
      ttlS: config.ACCESS_TOKEN_TTL_S,
      signingKeys,
    }),
    refreshTokenTtlS: config.REFRESH_TOKEN_TTL_S,
    logger,
  };
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

  const purge = createPurge(database, signingKeys, logger);

  const parts = [telemetry, database, broker, relay, purge, signingKeys, verifier, http];
  return { service: createService(parts, logger), logger, shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS, http };
}
