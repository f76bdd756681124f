// The life of a process: parts start in order and stop in the opposite order, within a time limit, on SIGTERM and SIGINT.
import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigError } from '../config/index.ts';
import type { Logger } from '../logger/index.ts';

/** Something that runs for as long as the process does. */
export interface Part {
  name: string;
  start(): Promise<void>;
  /** Sends whoever comes elsewhere, and still serves them. */
  drain?(): void;
  stop(): Promise<void>;
}

export interface Service {
  start(): Promise<void>;
  drain(): void;
  stop(): Promise<void>;
}

/**
 * How long a stop waits after `drain`, in milliseconds. A caller may just have sent a request on a connection that lay idle, and can't tell
 * whether it was lost; now it is answered, and the connection ends with the answer. A caller that ends its idle connections sooner
 * hardly ever meets one that the service ends.
 */
export const DRAIN_MS = 500;

/** Starts `parts` one after the other; stops them in the opposite order, each even where one before it failed. */
export function createService(parts: readonly Part[], logger: Logger): Service {
  const started: Part[] = [];
  return {
    async start() {
      for (const part of parts) {
        started.push(part);
        await part.start();
      }
      logger.info('started');
    },
    drain() {
      for (const part of started) part.drain?.();
    },
    async stop() {
      for (const part of started.splice(0).reverse()) {
        try {
          await part.stop();
        } catch (error) {
          logger.error('a part did not stop cleanly', { part: part.name, error });
        }
      }
      logger.info('stopped');
    },
  };
}

function fail(error: unknown): never {
  const code = (error as { code?: string } | null)?.code;
  const line =
    error instanceof ConfigError || code === 'EADDRINUSE'
      ? (error as Error).message
      : ((error as Error)?.stack ?? String(error));
  writeSync(
    2,
    `${line}
`,
  );
  process.exit(1);
}

/**
 * Runs a service until a signal ends it; exit code 0 after a clean stop, 1 otherwise. A second signal ends it at once.
 * @param create reads the settings and puts the service together; a ConfigError is printed as it is, without a stack
 */
export async function run(
  create: () => { service: Service; logger: Logger; shutdownTimeoutMs: number },
): Promise<void> {
  let made: ReturnType<typeof create>;
  try {
    made = create();
  } catch (error) {
    fail(error);
  }
  const { service, logger, shutdownTimeoutMs } = made;
  let stopping = false;
  const stop = async (signal: string) => {
    if (stopping) process.exit(1);
    stopping = true;
    logger.info('stopping', { signal });
    setTimeout(() => {
      logger.error('the stop took too long; what is unfinished will be taken up by another copy or the next start');
      process.exit(1);
    }, shutdownTimeoutMs).unref();
    service.drain();
    await delay(DRAIN_MS);
    await service.stop();
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('unhandledRejection', (error) => {
    logger.error('unhandled rejection', { error });
    process.exit(1);
  });
  try {
    await service.start();
  } catch (error) {
    fail(error);
  }
}

/** Runs a command that ends by itself, a migration say: exit code 0 or 1, a ConfigError printed as it is. */
export async function runOnce(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    fail(error);
  }
}
