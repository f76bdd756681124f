// Brings the database up to date, as often as it is run. Run before the service starts. There is nothing to seed: all that is here comes by events.
import { createLogger } from '@glasshouse/shared/logger';
import { createDatabase } from '@glasshouse/shared/mongo';
import { runOnce } from '@glasshouse/shared/process';
import { loadMigrationConfig } from './config.ts';
import { createCollections } from './data/collections.ts';

await runOnce(async () => {
  const { MONGO_URL } = loadMigrationConfig(process.env);
  const logger = createLogger({ service: 'notification-service', level: 'info' });
  const database = createDatabase({ url: MONGO_URL, service: 'notification-service', logger });
  await createCollections(database).finally(() => database.stop());
  logger.info('the database is up to date');
});
