// Every setting of the service, typed and checked; the only reader of the environment here.
import {
  commonSettings,
  eventSettings,
  nonNegativeInt,
  port,
  positiveInt,
  readSettings,
  secret,
  tokenSettings,
  url,
  urlList,
} from '@glasshouse/shared/config';

export const settings = {
  ...commonSettings,
  ...tokenSettings,
  ...eventSettings,
  PORT: port(3003),
  DATABASE_URL: secret().pipe(url(/^postgres(ql)?$/)),
  DATABASE_POOL_SIZE: positiveInt(20),
  /** How many messages are handled at once. */
  CONSUMER_PREFETCH: positiveInt(16),
  /** For the public keys. */
  USER_SERVICE_URL: urlList('http://localhost:3001'),
  /** For a product that is missing in the price list. */
  PRODUCT_SERVICE_URL: urlList('http://localhost:3002'),
  PRODUCT_SERVICE_TIMEOUT_MS: positiveInt(2_000),
  /** How long an order may stay pending, in seconds. */
  SAGA_TIMEOUT_S: positiveInt(120),
  /** How many orders may be pending before new ones are refused; 0 = not limited. */
  MAX_PENDING_ORDERS: nonNegativeInt(1_000),
  /** How often overdue orders are looked for, in milliseconds. */
  DEADLINE_SWEEP_INTERVAL_MS: positiveInt(1_000),
  /** How long nothing must have waited in the queue before an overdue order is cancelled, in milliseconds: what a copy that died held is back by then. */
  DEADLINE_SETTLE_MS: nonNegativeInt(10_000),
};

export type Config = ReturnType<typeof loadConfig>;

/** @throws ConfigError naming every missing or wrong setting */
export function loadConfig(env: NodeJS.ProcessEnv) {
  return readSettings(settings, env);
}

/** @throws ConfigError naming every missing or wrong setting */
export function loadMigrationConfig(env: NodeJS.ProcessEnv) {
  return readSettings({ NODE_ENV: commonSettings.NODE_ENV, MIGRATION_DATABASE_URL: settings.DATABASE_URL }, env);
}
