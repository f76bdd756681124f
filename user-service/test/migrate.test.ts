// The migration command: the schema, and the demo accounts where they are wanted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { userRegistered } from '@glasshouse/shared/contracts';
import { createTestBroker, createTestPostgres, waitFor } from '@glasshouse/shared/testing';
import jwt from 'jsonwebtoken';
import { logIn, migrations, runProcess, startCopy, testSettings } from './support.ts';

async function runMigrate(env: NodeJS.ProcessEnv) {
  const { code, stderr } = await runProcess('migrate.ts', { ARGON2_MEMORY_KIB: '64', ARGON2_PASSES: '1', ...env });
  return { code, stderr };
}

test('migrate: with SEED_DEMO_DATA, makes the demo accounts once and has the others told', async () => {
  const [db, broker] = await Promise.all([createTestPostgres(migrations), createTestBroker('user-service')]);
  const seeding = { MIGRATION_DATABASE_URL: db.url, SEED_DEMO_DATA: 'true' };
  const countUsers = async () => (await db.pool.query('select from users')).rowCount;
  try {
    assert.equal(await countUsers(), 0);
    assert.deepEqual(await runMigrate(seeding), { code: 0, stderr: '' });
    assert.deepEqual(await runMigrate(seeding), { code: 0, stderr: '' });
    assert.equal(await countUsers(), 2);

    const { call, stop } = await startCopy(testSettings(db.url, broker.url));
    try {
      await waitFor('both events', () => broker.eventsOf(userRegistered).length === 2);
      const emails = broker.eventsOf(userRegistered).map(({ data }) => data.email);
      assert.deepEqual(emails.sort(), ['admin@example.com', 'alice@example.com']);
      for (const [name, roles] of [
        ['admin', ['customer', 'admin']],
        ['alice', ['customer']],
      ]) {
        const { body } = await logIn(call, { email: `${name}@example.com`, password: `${name}-password` });
        assert.deepEqual((jwt.decode(body.accessToken) as jwt.JwtPayload).roles, roles);
      }
    } finally {
      await stop();
    }
  } finally {
    await Promise.all([db.drop(), broker.drop()]);
  }
});
