// Every setting of the auditor, typed and checked; the only reader of the environment here.
import { join } from 'node:path';
import { environmentWith, mongoUrl, positiveInt, readSettings, url } from '@glasshouse/shared/config';
import { z } from 'zod';

/** Where the local runner says how its servers are reached. */
const LOCAL_FILE = join(import.meta.dirname, '../../../.local/audit.env');

const postgresUrl = () => url(/^postgres(ql)?$/);

const settings = {
  AUDIT_USER_SERVICE_DATABASE_URL: postgresUrl(),
  AUDIT_ORDER_SERVICE_DATABASE_URL: postgresUrl(),
  AUDIT_PAYMENT_SERVICE_DATABASE_URL: postgresUrl(),
  AUDIT_PRODUCT_SERVICE_DATABASE_URL: mongoUrl(),
  AUDIT_NOTIFICATION_SERVICE_DATABASE_URL: mongoUrl(),
  /** RabbitMQ's management API, with the name and password of a monitoring user. */
  AUDIT_RABBITMQ_MANAGEMENT_URL: url(/^https?$/),
  AUDIT_VHOST: z.string().default('/'),
  /** How old the broker's message counts may be, in seconds: its `quorum_tick_interval`. */
  AUDIT_QUEUE_COUNTS_AGE_S: positiveInt(5),
  /** The payment provider's ledger, with its key as the password. */
  AUDIT_LEDGER_URL: url(/^https?$/),
  /** How long an order may stay pending, in seconds; the same as order-service's. */
  SAGA_TIMEOUT_S: positiveInt(120),
};

export type Config = ReturnType<typeof loadConfig>;

/** @throws ConfigError naming every missing or wrong setting */
export function loadConfig(env: NodeJS.ProcessEnv) {
  return readSettings(settings, env);
}

/** This process's environment; what is missing there comes from the local runner's file, where there is one. */
export const readEnvironment = (file = LOCAL_FILE) => environmentWith(file);
