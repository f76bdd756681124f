// Brings the database up to date, by the owner's role. Run before the service starts.
import { readSettings, secret, url } from '@glasshouse/shared/config';
import { createLogger } from '@glasshouse/shared/logger';
import { migrate } from '@glasshouse/shared/postgres';
import { runOnce } from '@glasshouse/shared/process';

await runOnce(async () => {
  const { MIGRATION_DATABASE_URL } = readSettings(
    { MIGRATION_DATABASE_URL: secret().pipe(url(/^postgres(ql)?$/)) },
    process.env,
  );
  const logger = createLogger({ service: 'payment-service', level: 'info' });
  await migrate({ url: MIGRATION_DATABASE_URL, dir: `${import.meta.dirname}/../migrations`, logger });
});
