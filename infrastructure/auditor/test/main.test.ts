// What the command says where it can't make an audit: one clear line, exit code 2.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { it } from 'node:test';
import { runAuditor } from './process.ts';

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

async function settings(): Promise<Record<string, string>> {
  const at = `127.0.0.1:${await closedPort()}`;
  return {
    AUDIT_USER_SERVICE_DATABASE_URL: `postgres://auditor:top-secret@${at}/users`,
    AUDIT_ORDER_SERVICE_DATABASE_URL: `postgres://auditor:top-secret@${at}/orders`,
    AUDIT_PAYMENT_SERVICE_DATABASE_URL: `postgres://auditor:top-secret@${at}/payments`,
    AUDIT_PRODUCT_SERVICE_DATABASE_URL: `mongodb://auditor:top-secret@${at}/products`,
    AUDIT_NOTIFICATION_SERVICE_DATABASE_URL: `mongodb://auditor:top-secret@${at}/notifications`,
    AUDIT_RABBITMQ_MANAGEMENT_URL: `http://monitoring:top-secret@${at}`,
    AUDIT_LEDGER_URL: `http://:top-secret@${at}`,
  };
}

it('auditor: when a database does not answer, says which and why in one line, without secrets', async () => {
  const { code, stdout, stderr } = await runAuditor(await settings());
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^Can't read user-service's database at 127\.0\.0\.1:\d+\/users: connect ECONNREFUSED .*\n$/);
  assert.doesNotMatch(stderr, /top-secret/);
});

it('auditor: when settings are wrong, names all of them', async () => {
  const wrong = { ...(await settings()), AUDIT_LEDGER_URL: 'somewhere', SAGA_TIMEOUT_S: 'soon' };
  const { code, stderr } = await runAuditor(wrong);
  assert.equal(code, 2);
  assert.match(stderr, /^Wrong settings:\n {2}AUDIT_LEDGER_URL: .*\n {2}SAGA_TIMEOUT_S: .*\n$/);
});

it('auditor: when it does not know an option, says so', async () => {
  const { code, stderr } = await runAuditor(await settings(), ['--yaml']);
  assert.equal(code, 2);
  assert.match(stderr, /^Unknown option '--yaml'.*\n$/);
});
