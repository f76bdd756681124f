// What all platforms under test are told.
import { join } from 'node:path';

/** Where downloaded servers are, and what has been compiled. */
export const cacheDir = join(import.meta.dirname, '../../.local');

/** Passwords are hashed slowly on purpose; those of tests are no secrets. */
const cheapPasswords = { ARGON2_MEMORY_KIB: '64', ARGON2_PASSES: '1' };

/** What `npm run chaos` is told under test. */
export function chaosEnv(): NodeJS.ProcessEnv {
  const { TEST_PLATFORM_DATA } = process.env;
  return {
    ...process.env,
    ...cheapPasswords,
    ...(TEST_PLATFORM_DATA && { CHAOS_PLATFORM_DATA: TEST_PLATFORM_DATA }),
  };
}

export function commonEnv(): Record<string, string> {
  const { PATH = '', HOME = '', MONGO_URL } = process.env;
  return {
    PATH,
    HOME,
    // A line for each request and message costs a tenth of the time, and nobody reads them.
    LOG_LEVEL: 'warn',
    RATE_LIMIT_PER_MINUTE: '0',
    AUTH_RATE_LIMIT_PER_MINUTE: '0',
    METRICS_PORT: '0',
    ...cheapPasswords,
    ...(MONGO_URL && { MONGO_URL }),
  };
}
