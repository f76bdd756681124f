// Every setting of the payment simulator, typed and checked; the only reader of the environment here.
import { commonSettings, port, readSettings, secret } from '@glasshouse/shared/config';
import { z } from 'zod';

const key = () =>
  secret().refine((value) => !value.startsWith('sk_live_'), {
    message: 'is a live key; the simulator must never be given one',
  });

/**
 * Reads the settings.
 * @throws ConfigError naming every missing or wrong setting at once.
 */
export function loadConfig(env: NodeJS.ProcessEnv) {
  return readSettings(
    {
      NODE_ENV: commonSettings.NODE_ENV,
      HOST: commonSettings.HOST,
      /** 0 takes any free port. */
      PORT: port(8090),
      /** Where the SQLite ledger is kept; its folder is made if need be. */
      LEDGER_FILE: z.string().min(1),
      /** What a caller of /v1 must present. */
      STRIPE_API_KEY: key(),
      /** What a reader of /ledger must present; STRIPE_API_KEY where not set. */
      LEDGER_KEY: key().optional(),
      SHUTDOWN_TIMEOUT_MS: commonSettings.SHUTDOWN_TIMEOUT_MS,
    },
    env,
  );
}

export type Config = ReturnType<typeof loadConfig>;
