// Migrations of several copies that start at once, on a real PostgreSQL.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { migrate } from '@glasshouse/shared/postgres';
import { createTestPostgres, quietLogger } from '@glasshouse/shared/testing';

test('migrate: when copies start at once, they wait for each other, and each migration is applied once', async () => {
  const empty = mkdtempSync(join(tmpdir(), 'no-migrations-'));
  const postgres = await createTestPostgres(empty);
  try {
    const options = { url: postgres.url, dir: join(import.meta.dirname, 'migrations'), logger: quietLogger };
    await Promise.all(Array.from({ length: 4 }, () => migrate(options)));
    const { rows } = await postgres.pool.query('select name, count(*)::int from schema_migrations group by name');
    assert.deepEqual(
      rows.map(({ count }) => count),
      [1, 1],
    );
  } finally {
    await postgres.drop();
    rmSync(empty, { recursive: true });
  }
});
