// Applies a service's migrations, by its owner role; the role that the service runs under may not change the schema.
import type { Logger } from '../logger/index.ts';

/**
 * Brings the schema up to date; does nothing where it is. Copies that start at once wait for each other (advisory lock).
 * @param dir the folder of `NNN-name.sql` files
 */
export async function migrate(options: { url: string; dir: string; logger: Logger }): Promise<void> {
  const { url, dir, logger } = options;
  // Loaded here: a service has this file's neighbours in hand, and never migrates.
  const { runner } = await import('node-pg-migrate');
  const applied = await runner({
    databaseUrl: url,
    dir,
    direction: 'up',
    migrationsTable: 'schema_migrations',
    checkOrder: true,
    advisoryLockMode: 'wait',
    log: () => {},
  });
  logger.info('schema is up to date', { applied: applied.map((migration) => migration.name) });
}
