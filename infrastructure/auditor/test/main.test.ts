// What the command says where it can't make an audit: one clear line, exit code 2.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runAuditor } from './process.ts';

/** Nobody listens there: ports below 1024 are given to nobody who asks for any. */
const CLOSED = '127.0.0.1:1';

function settings(): Record<string, string> {
  return {
    AUDIT_USER_SERVICE_DATABASE_URL: `postgres://auditor:top-secret@${CLOSED}/users`,
    AUDIT_ORDER_SERVICE_DATABASE_URL: `postgres://auditor:top-secret@${CLOSED}/orders`,
    AUDIT_PAYMENT_SERVICE_DATABASE_URL: `postgres://auditor:top-secret@${CLOSED}/payments`,
    AUDIT_PRODUCT_SERVICE_DATABASE_URL: `mongodb://auditor:top-secret@${CLOSED}/products`,
    AUDIT_NOTIFICATION_SERVICE_DATABASE_URL: `mongodb://auditor:top-secret@${CLOSED}/notifications`,
    AUDIT_RABBITMQ_MANAGEMENT_URL: `http://monitoring:top-secret@${CLOSED}`,
    AUDIT_LEDGER_URL: `http://:top-secret@${CLOSED}`,
  };
}

it('auditor: when a database does not answer, says which and why in one line, without secrets', async () => {
  const { code, stdout, stderr } = await runAuditor(settings());
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^Can't read user-service's database at 127\.0\.0\.1:\d+\/users: connect ECONNREFUSED .*\n$/);
  assert.doesNotMatch(stderr, /top-secret/);
});

it('auditor: when settings are wrong, names all of them', async () => {
  const wrong = { ...settings(), AUDIT_LEDGER_URL: 'somewhere', SAGA_TIMEOUT_S: 'soon' };
  const { code, stderr } = await runAuditor(wrong);
  assert.equal(code, 2);
  assert.match(stderr, /^Wrong settings:\n {2}AUDIT_LEDGER_URL: .*\n {2}SAGA_TIMEOUT_S: .*\n$/);
});

it('auditor: when it does not know an option, says so', async () => {
  const { code, stderr } = await runAuditor(settings(), ['--yaml']);
  assert.equal(code, 2);
  assert.match(stderr, /^Unknown option '--yaml'.*\n$/);
});
