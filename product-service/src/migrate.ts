// Brings the database up to date, and fills the catalogue with demo products where they are wanted. Run before the service starts.
import { createLogger } from '@glasshouse/shared/logger';
import { createDatabase, createOutboxStore } from '@glasshouse/shared/mongo';
import { runOnce } from '@glasshouse/shared/process';
import { setupContext } from '@glasshouse/shared/telemetry';
import { loadMigrationConfig } from './config.ts';
import { recountCategories } from './data/category-repository.ts';
import { createCollections } from './data/collections.ts';
import { seedDemoProducts } from './handlers/seed-demo-products.ts';

const SERVICE = 'product-service';

await runOnce(async () => {
  const config = loadMigrationConfig(process.env);
  setupContext();
  const logger = createLogger({ service: SERVICE, level: 'info' });
  const database = createDatabase({ url: config.MONGO_URL, service: SERVICE, logger });
  // No relay runs here: the service's own sweep publishes what is given back.
  const outbox = createOutboxStore(database);
  const seeded: string[] = [];
  outbox.onCommitted((rows) => seeded.push(...rows.map((row) => row.id)));
  try {
    await createCollections(database);
    await recountCategories(database);
    if (config.SEED_DEMO_DATA) await seedDemoProducts({ db: database });
    await outbox.giveBack(seeded);
    logger.info('the database is up to date');
  } finally {
    await database.stop();
  }
});
