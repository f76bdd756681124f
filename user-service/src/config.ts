// Every setting of the service, of its migration and of its key command, typed and checked; the only reader of the environment here.
import {
  ConfigError,
  commonSettings,
  eventSettings,
  flag,
  nonNegativeInt,
  port,
  positiveInt,
  readSettings,
  secret,
  tokenSettings,
  url,
} from '@glasshouse/shared/config';
import { z } from 'zod';

/** What a password costs: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id */
const passwordSettings = {
  /** Argon2's least memory for one lane is 8 KiB. */
  ARGON2_MEMORY_KIB: positiveInt(19_456).pipe(z.int().min(8)),
  ARGON2_PASSES: positiveInt(2),
  /** How many passwords are hashed at once: each takes a core and the memory above. */
  ARGON2_CONCURRENCY: positiveInt(2),
};

/** What whoever handles the signing keys needs. */
const keySettings = {
  DATABASE_URL: secret().pipe(url(/^postgres(ql)?$/)),
  ACCESS_TOKEN_TTL_S: positiveInt(900),
  /** Encrypts the private signing keys in the database: 32 bytes in base64 (`openssl rand -base64 32`), the same for every copy. */
  KEY_ENCRYPTION_KEY: secret()
    .regex(/^[A-Za-z0-9+/_-]{43}=?$/, 'is not 32 bytes in base64')
    .transform((value) => Buffer.from(value, 'base64')),
};

export const settings = {
  ...commonSettings,
  ...tokenSettings,
  ...eventSettings,
  ...passwordSettings,
  ...keySettings,
  PORT: port(3001),
  DATABASE_POOL_SIZE: positiveInt(20),
  /** How long a login lasts without a refresh, in seconds: 30 days. */
  REFRESH_TOKEN_TTL_S: positiveInt(2_592_000),
  /** Failed logins that are free for one account, before the next tries have to wait; 0 = not counted. */
  LOGIN_FAILURES_PER_ACCOUNT: nonNegativeInt(5),
  /** The same for one address over all accounts; 0 = not counted. */
  LOGIN_FAILURES_PER_ADDRESS: nonNegativeInt(20),
};

export type Config = ReturnType<typeof loadConfig>;

/** @throws ConfigError naming every missing or wrong setting */
export function loadConfig(env: NodeJS.ProcessEnv) {
  return readSettings(settings, env);
}

/** @throws ConfigError naming every missing or wrong setting */
export function loadKeysConfig(env: NodeJS.ProcessEnv) {
  return readSettings(keySettings, env);
}

/** @throws ConfigError naming every missing or wrong setting, and where demo accounts are wanted in production */
export function loadMigrationConfig(env: NodeJS.ProcessEnv) {
  const config = readSettings(
    {
      ...passwordSettings,
      NODE_ENV: commonSettings.NODE_ENV,
      MIGRATION_DATABASE_URL: secret().pipe(url(/^postgres(ql)?$/)),
      /** Whether to make the demo accounts, whose passwords everybody knows. */
      SEED_DEMO_DATA: flag(false),
    },
    env,
  );
  if (config.SEED_DEMO_DATA && config.NODE_ENV === 'production')
    throw new ConfigError('Wrong settings:\n  SEED_DEMO_DATA: is not for NODE_ENV=production');
  return config;
}
