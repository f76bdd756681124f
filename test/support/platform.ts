// A platform of its own for an end-to-end test: in a folder of its own, on ports of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestVhost, waitFor } from '@glasshouse/shared/testing';
import { killAll } from '../../infrastructure/local/src/clear-away.ts';
import { type Platform, startPlatform } from '../../infrastructure/local/src/platform.ts';
import { createProcessTable } from '../../infrastructure/local/src/processes.ts';
import { removePostgres, takenPortsLine } from '../../infrastructure/local/src/servers/index.ts';
import { platformPorts } from '../../infrastructure/local/src/services.ts';

const root = join(import.meta.dirname, '../..');

/**
 * @param portOffset added to all ports; each test file has its own: 600, 450 more for the next, up to 6,000
 * @param env for the services; no rate limits, unless it says so
 * @param ownBroker whether RabbitMQ is this platform's alone, with a user for each service, and can be killed; else it has a virtual host
 *   of the one that all tests use, which costs much less
 */
export async function startTestPlatform(options: {
  portOffset: number;
  replicas?: number;
  env?: Record<string, string>;
  ownBroker?: boolean;
}): Promise<Platform> {
  const { portOffset, replicas = 1, ownBroker = false } = options;
  const ports = platformPorts(replicas, portOffset);
  // Whoever has them would answer for this platform: the same tests, say, in another folder.
  await waitFor(
    `the ports from ${portOffset} on are free`,
    async () => {
      const taken = await takenPortsLine(ports);
      if (taken !== undefined) throw new Error(taken);
      return true;
    },
    60_000,
  );
  const dir = mkdtempSync(join(tmpdir(), 'glasshouse-test-'));
  const { PATH = '', HOME = '', MONGO_URL, TEST_RABBITMQ_COUNTS_AGE_S } = process.env;
  const processes = createProcessTable(join(dir, 'state.json'));
  const vhost = ownBroker ? undefined : await createTestVhost();
  const platform = await startPlatform({
    dir,
    cacheDir: join(root, '.local'),
    portOffset,
    replicas,
    env: {
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
      ...(vhost && {
        RABBITMQ_URL: vhost.url,
        RABBITMQ_MANAGEMENT_URL: vhost.managementUrl,
        ...(TEST_RABBITMQ_COUNTS_AGE_S && { AUDIT_QUEUE_COUNTS_AGE_S: TEST_RABBITMQ_COUNTS_AGE_S }),
      }),
      ...options.env,
    },
    log: () => {},
    processes,
    restart: false,
    fsync: false,
  });
  return {
    ...platform,
    async stop() {
      // Services end as ever: only so do they leave what they have compiled to the next.
      await processes.stopAll(['service']);
      await killAll(processes);
      await platform.stop();
      await vhost?.drop();
      removePostgres(join(dir, 'postgres'));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
