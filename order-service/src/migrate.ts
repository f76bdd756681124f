// Brings the database up to date, by the owner's role. Run before the service starts.
import { createLogger } from '@glasshouse/shared/logger';
import { migrate } from '@glasshouse/shared/postgres';
import { runOnce } from '@glasshouse/shared/process';
import { loadMigrationConfig } from './config.ts';

await runOnce(async () => {
  const { MIGRATION_DATABASE_URL: url } = loadMigrationConfig(process.env);
  const logger = createLogger({ service: 'order-service', level: 'info' });
  await migrate({ url, dir: `${import.meta.dirname}/../migrations`, logger });
});
