// Counts that all copies of the gateway share, in Redis; where that is gone, each copy counts for itself until it is back.
import type { Logger } from '@glasshouse/shared/logger';
import type { Part } from '@glasshouse/shared/process';
import { createBreaker } from '@glasshouse/shared/resilience';
import { MemoryStore, type Options, type Store } from 'express-rate-limit';
import { RedisStore } from 'rate-limit-redis';
import type { createClient } from 'redis';

/** A count is worth no longer wait than that. */
const COUNT_TIMEOUT_MS = 250;
const CONNECT_TIMEOUT_MS = 2_000;
const MAX_RECONNECT_DELAY_MS = 2_000;
/** A connection that answers no ping for so long is dead, whatever TCP still hopes. */
const SILENCE_MS = 10_000;

export interface SharedCounts extends Part {
  /** Counts under `name`, for one rate limit. It never fails and never waits for long. */
  storeOf(name: string): Store;
}

export function createSharedCounts({ url, logger }: { url: string; logger: Logger }): SharedCounts {
  let redis: ReturnType<typeof createClient> | undefined;
  let isShared = true;
  const tell = (shared: boolean, error?: unknown) => {
    if (shared === isShared) return;
    isShared = shared;
    if (shared) logger.info('rate limits are counted by all copies together again');
    else logger.warn('Redis is gone: each copy counts the rate limits for itself', { error });
  };
  const breakers: { shutdown(): void }[] = [];

  return {
    name: 'shared counts',
    async start() {
      // Loaded here: its modules are as many as all others together, and most gateways count for themselves.
      const { createClient } = await import('redis');
      redis = createClient({
        url,
        // What can't be counted now is counted here, not later.
        disableOfflineQueue: true,
        commandsQueueMaxLength: 10_000,
        pingInterval: SILENCE_MS / 3,
        socket: {
          connectTimeout: CONNECT_TIMEOUT_MS,
          socketTimeout: SILENCE_MS,
          reconnectStrategy: (tries) => Math.min(50 * 2 ** tries, MAX_RECONNECT_DELAY_MS),
        },
      });
      redis.on('error', (error) => tell(false, error));
      // Not waited for: it goes on trying, and calls are counted here meanwhile.
      redis.connect().catch(() => {});
    },
    async stop() {
      for (const breaker of breakers) breaker.shutdown();
      redis?.destroy();
    },
    storeOf(name) {
      const own = new MemoryStore();
      const shared = new RedisStore({
        prefix: `glasshouse:rate:${name}:`,
        sendCommand: async (...command: string[]) => {
          if (redis === undefined) throw new Error('Redis is not connected yet');
          return redis.sendCommand(command);
        },
      });
      let options: Options;
      let scripts: Promise<unknown> | undefined;
      const breaker = createBreaker(
        `shared counts ${name}`,
        async (key: string) => {
          scripts ??= shared.init(options);
          await scripts;
          return shared.increment(key);
        },
        { timeoutMs: COUNT_TIMEOUT_MS },
      );
      breakers.push(breaker);
      return {
        prefix: name,
        init(given) {
          options = given;
          own.init(given);
        },
        async increment(key) {
          try {
            const counted = await breaker.fire(key);
            tell(true);
            return counted;
          } catch (error) {
            // The library remembers that its scripts could not be loaded: it has to try anew.
            scripts = undefined;
            tell(false, error);
            return own.increment(key);
          }
        },
        decrement: (key) => own.decrement(key),
        resetKey: (key) => own.resetKey(key),
      };
    },
  };
}
