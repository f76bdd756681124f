// Every setting of the service and of its migration, typed and checked; the only reader of the environment here.
import {
  ConfigError,
  commonSettings,
  eventSettings,
  flag,
  mongoUrl,
  port,
  positiveInt,
  readSettings,
  secret,
  tokenSettings,
  urlList,
} from '@glasshouse/shared/config';

export const settings = {
  ...commonSettings,
  ...tokenSettings,
  ...eventSettings,
  PORT: port(3002),
  MONGO_URL: secret().pipe(mongoUrl()),
  DATABASE_POOL_SIZE: positiveInt(20),
  /** How many messages wait here for their turn; they are handled one at a time. */
  CONSUMER_PREFETCH: positiveInt(20),
  /** For the public keys. */
  USER_SERVICE_URL: urlList('http://localhost:3001'),
};

export type Config = ReturnType<typeof loadConfig>;

/** @throws ConfigError naming every missing or wrong setting */
export function loadConfig(env: NodeJS.ProcessEnv) {
  return readSettings(settings, env);
}

/** @throws ConfigError naming every missing or wrong setting, and where demo products are wanted in production */
export function loadMigrationConfig(env: NodeJS.ProcessEnv) {
  const config = readSettings(
    {
      NODE_ENV: commonSettings.NODE_ENV,
      MONGO_URL: settings.MONGO_URL,
      /** Whether to fill the catalogue with demo products. */
      SEED_DEMO_DATA: flag(false),
    },
    env,
  );
  if (config.SEED_DEMO_DATA && config.NODE_ENV === 'production')
    throw new ConfigError('Wrong settings:\n  SEED_DEMO_DATA: is not for NODE_ENV=production');
  return config;
}
