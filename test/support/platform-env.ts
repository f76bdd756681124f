// What all platforms under test are told.
import { join } from 'node:path';

/** Where downloaded servers are, and what has been compiled. */
export const cacheDir = join(import.meta.dirname, '../../.local');

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
    // Passwords are hashed slowly on purpose; these are no secrets.
    ARGON2_MEMORY_KIB: '64',
    ARGON2_PASSES: '1',
    ...(MONGO_URL && { MONGO_URL }),
  };
}

/** What `npm run chaos` is told under test. */
export function chaosEnv(): Record<string, string> {
  const { TMPDIR, NODE_COMPILE_CACHE, TEST_PLATFORM_DATA } = process.env;
  return {
    ...commonEnv(),
    ...(TMPDIR && { TMPDIR }),
    ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }),
    ...(TEST_PLATFORM_DATA && { CHAOS_PLATFORM_DATA: TEST_PLATFORM_DATA }),
  };
}
