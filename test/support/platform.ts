// A platform of its own for an end-to-end test: in a folder of its own, on ports of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Platform, startPlatform } from '../../infrastructure/local/src/platform.ts';
import { removePostgres } from '../../infrastructure/local/src/servers/index.ts';

const root = join(import.meta.dirname, '../..');

/**
 * @param portOffset added to all ports; test files that run at the same time need different ones, 1,000 apart
 * @param env for the services; no rate limits, unless it says so
 */
export async function startTestPlatform(options: {
  portOffset: number;
  replicas?: number;
  env?: Record<string, string>;
}): Promise<Platform> {
  const dir = mkdtempSync(join(tmpdir(), 'glasshouse-test-'));
  const { PATH = '', HOME = '', MONGO_URL } = process.env;
  const platform = await startPlatform({
    dir,
    cacheDir: join(root, '.local'),
    portOffset: options.portOffset,
    replicas: options.replicas ?? 1,
    env: {
      PATH,
      HOME,
      RATE_LIMIT_PER_MINUTE: '0',
      AUTH_RATE_LIMIT_PER_MINUTE: '0',
      ...(MONGO_URL && { MONGO_URL }),
      ...options.env,
    },
    log: () => {},
    restart: false,
    fsync: false,
  });
  return {
    ...platform,
    async stop() {
      await platform.stop();
      removePostgres(join(dir, 'postgres'));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
