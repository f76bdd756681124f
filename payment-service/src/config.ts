// Every setting of the service, typed and checked; the only reader of the environment here.
import {
  commonSettings,
  eventSettings,
  port,
  positiveInt,
  readSettings,
  secret,
  tokenSettings,
  url,
  urlList,
} from '@glasshouse/shared/config';
import { z } from 'zod';

export const settings = {
  ...commonSettings,
  ...tokenSettings,
  ...eventSettings,
  PORT: port(3004),
  DATABASE_URL: secret().pipe(url(/^postgres(ql)?$/)),
  DATABASE_POOL_SIZE: positiveInt(20),
  /** How many messages are handled at once. */
  CONSUMER_PREFETCH: positiveInt(16),
  /** For the public keys. */
  USER_SERVICE_URL: urlList('http://localhost:3001'),
  STRIPE_API_KEY: secret(),
  /** The provider's API: Stripe's own, or the simulator's. */
  STRIPE_API_URL: url(/^https?$/).default('https://api.stripe.com'),
  /** For one call; two of them must fit into a lease of 10 s. */
  STRIPE_TIMEOUT_MS: positiveInt(4_000).pipe(z.number().max(4_500)),
  /** How many charges are made at once. */
  CHARGE_CONCURRENCY: positiveInt(8),
  /** How often charges and refunds are looked for that nobody was woken for, in milliseconds. */
  PAYMENT_SWEEP_INTERVAL_MS: positiveInt(1_000),
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
