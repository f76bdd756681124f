// Forgets what has ended: refresh tokens that have expired with their whole family, retired keys whose last token has, failed logins of long ago.
import type { Logger } from '@glasshouse/shared/logger';
import type { Database } from '@glasshouse/shared/postgres';
import type { Part } from '@glasshouse/shared/process';
import { deleteForgotten } from '../data/failed-login-repository.ts';
import { deleteExpiredFamilies } from '../data/refresh-token-repository.ts';
import type { SigningKeys } from '../security/signing-keys.ts';

const INTERVAL_MS = 3_600_000;

/** Works at the start and every hour; copies of the service may do so at once. */
export function createPurge(database: Database, signingKeys: SigningKeys, logger: Logger): Part {
  let timer: NodeJS.Timeout | undefined;
  const purge = async () => {
    try {
      await signingKeys.deleteGone(database);
      await deleteExpiredFamilies(database);
      await deleteForgotten(database);
    } catch (error) {
      logger.warn('what has ended could not be purged', { error });
    }
  };
  return {
    name: 'purge',
    async start() {
      void purge();
      timer = setInterval(purge, INTERVAL_MS);
    },
    async stop() {
      clearInterval(timer);
    },
  };
}
