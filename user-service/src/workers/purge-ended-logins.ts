// Forgets refresh tokens that have expired with their whole family: what is refused anyway need not be kept.
import type { Logger } from '@glasshouse/shared/logger';
import type { Database } from '@glasshouse/shared/postgres';
import type { Part } from '@glasshouse/shared/process';
import { deleteExpiredFamilies } from '../data/refresh-token-repository.ts';

const INTERVAL_MS = 3_600_000;

export function createLoginPurge(database: Database, logger: Logger): Part {
  let timer: NodeJS.Timeout | undefined;
  const purge = () =>
    deleteExpiredFamilies(database).catch((error) => logger.warn('ended logins could not be purged', { error }));
  return {
    name: 'login purge',
    async start() {
      timer = setInterval(purge, INTERVAL_MS);
    },
    async stop() {
      clearInterval(timer);
    },
  };
}
