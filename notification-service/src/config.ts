// Every setting of the service, typed and checked; the only reader of the environment here.
import {
  commonSettings,
  eventSettings,
  mongoUrl,
  port,
  positiveInt,
  readSettings,
  secret,
  tokenSettings,
  url,
  urlList,
} from '@glasshouse/shared/config';
import { z } from 'zod';

const address = String.raw`[^\s<>@]+@[^\s<>@]+`;

export const settings = {
  ...commonSettings,
  ...tokenSettings,
  RABBITMQ_URL: eventSettings.RABBITMQ_URL,
  PORT: port(3005),
  MONGO_URL: secret().pipe(mongoUrl()),
  DATABASE_POOL_SIZE: positiveInt(30),
  /** How many messages are handled at once. Few, for each is short, and transactions that meet have to be done again. */
  CONSUMER_PREFETCH: positiveInt(4),
  /** For the public keys. */
  USER_SERVICE_URL: urlList('http://localhost:3001'),
  /** smtp://user:password@host:port, or smtps:// for TLS from the start. */
  SMTP_URL: secret().pipe(url(/^smtps?$/)),
  /** How many connections to the mail server are kept, each with one mail at a time. */
  SMTP_CONNECTIONS: positiveInt(5),
  /** How long one mail may take, in milliseconds; with a second look before it and its record after it, it has to fit into the lease of 10 s. */
  SMTP_TIMEOUT_MS: z.coerce.number().int().positive().max(7_000).default(7_000),
  MAIL_FROM: z
    .string()
    .regex(new RegExp(`^([^<>\\r\\n]*<${address}>|${address})$`), 'is neither an address nor Name <address>')
    .default('Glasshouse <orders@glasshouse.example>'),
  /** How often due mails are looked for although nobody has said that there are any, in milliseconds. */
  MAIL_SWEEP_INTERVAL_MS: positiveInt(1_000),
};

export type Config = ReturnType<typeof loadConfig>;

/** @throws ConfigError naming every missing or wrong setting */
export function loadConfig(env: NodeJS.ProcessEnv) {
  return readSettings(settings, env);
}

/** @throws ConfigError naming every missing or wrong setting */
export function loadMigrationConfig(env: NodeJS.ProcessEnv) {
  return readSettings({ NODE_ENV: commonSettings.NODE_ENV, MONGO_URL: settings.MONGO_URL }, env);
}
