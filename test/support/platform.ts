// A platform of its own for an end-to-end test: in a folder of its own, on ports of its own.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestVhost, waitFor } from '@glasshouse/shared/testing';
import { killAll } from '../../infrastructure/local/src/clear-away.ts';
import { type Platform, startPlatform } from '../../infrastructure/local/src/platform.ts';
import { createProcessTable, lastLines } from '../../infrastructure/local/src/processes.ts';
import { removePostgres, takenPortsLine } from '../../infrastructure/local/src/servers/index.ts';
import { platformPorts, type Replicas } from '../../infrastructure/local/src/services.ts';
import { cacheDir, commonEnv } from './platform-env.ts';

let shared: Promise<Platform> | undefined;
/** In a whole run several test files use it, one after the other (infrastructure/local/src/whole-run.ts); who runs alone stops it. */
let usersLeft = Number(process.env.TEST_FILES_IN_PROCESS ?? 1);

/**
 * A platform for test files that want nothing of it but what is there at first, and that leave every book in order. It has one copy of each
 * service, and tokens that outlive the tests.
 * @param options.portOffset as `startTestPlatform` has it; where several files share it, the first one's
 */
export async function startSharedPlatform({ portOffset }: { portOffset: number }): Promise<Platform> {
  shared ??= startTestPlatform({ portOffset, env: { ACCESS_TOKEN_TTL_S: '86400' } });
  const platform = await shared;
  return {
    ...platform,
    async stop() {
      usersLeft -= 1;
      if (usersLeft === 0) await platform.stop();
    },
  };
}

/**
 * @param portOffset added to all ports; each test file has its own: 600, 450 more for the next, up to 6,000
 * @param env for the services; no rate limits, unless it says so
 * @param ownBroker whether RabbitMQ is this platform's alone, with a user for each service, and can be killed; else it has a virtual host
 *   of the one that all tests use, which costs much less
 */
export async function startTestPlatform(options: {
  portOffset: number;
  replicas?: Replicas;
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
  const { TEST_PLATFORM_DATA, TEST_RABBITMQ_COUNTS_AGE_S } = process.env;
  const isPrepared = TEST_PLATFORM_DATA !== undefined;
  if (isPrepared) cpSync(TEST_PLATFORM_DATA, dir, { recursive: true });
  const processes = createProcessTable(join(dir, 'state.json'));
  const vhost = ownBroker ? undefined : await createTestVhost();
  const platform = await startPlatform({
    dir,
    cacheDir,
    isPrepared,
    portOffset,
    replicas,
    env: {
      ...commonEnv(),
      ...(vhost && {
        RABBITMQ_URL: vhost.url,
        RABBITMQ_MANAGEMENT_URL: vhost.managementUrl,
        ...(TEST_RABBITMQ_COUNTS_AGE_S && { AUDIT_QUEUE_COUNTS_AGE_S: TEST_RABBITMQ_COUNTS_AGE_S }),
      }),
      ...options.env,
    },
    log(line) {
      // Nobody has killed it: whatever fails next, this is why.
      const [, name] = /^(\S+) ended by itself \(exit code [1-9]/.exec(line) ?? [];
      if (name !== undefined) process.stderr.write(`${line}:\n${lastLines(join(dir, 'logs', `${name}.log`))}\n`);
    },
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
