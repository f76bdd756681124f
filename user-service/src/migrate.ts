// Brings the database up to date, by the owner's role, and seeds the demo accounts where they are wanted. Run before the service starts.
import { createLogger } from '@glasshouse/shared/logger';
import { createDatabase, createOutboxStore, migrate } from '@glasshouse/shared/postgres';
import { runOnce } from '@glasshouse/shared/process';
import { setupContext } from '@glasshouse/shared/telemetry';
import { loadMigrationConfig } from './config.ts';
import { seedDemoUsers } from './handlers/seed-demo-users.ts';
import { createPasswords } from './security/passwords.ts';

const SERVICE = 'user-service';

await runOnce(async () => {
  const config = loadMigrationConfig(process.env);
  const logger = createLogger({ service: SERVICE, level: 'info' });
  const url = config.MIGRATION_DATABASE_URL;
  await migrate({ url, dir: `${import.meta.dirname}/../migrations`, logger });
  if (!config.SEED_DEMO_DATA) return;
  setupContext();
  const database = createDatabase({ url, service: SERVICE, logger });
  const passwords = createPasswords({
    memoryKib: config.ARGON2_MEMORY_KIB,
    passes: config.ARGON2_PASSES,
    concurrency: config.ARGON2_CONCURRENCY,
  });
  // No relay runs here: the service's own sweep publishes what is given back.
  const outbox = createOutboxStore(database);
  const seeded: string[] = [];
  outbox.onCommitted((rows) => seeded.push(...rows.map((row) => row.id)));
  try {
    await seedDemoUsers({ db: database, passwords });
    await outbox.giveBack(seeded);
  } finally {
    await database.stop();
  }
});
