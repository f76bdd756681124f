// `npm run without -- <pattern>`: each pattern is taken out of the code, and somebody notices. So the patches fit, the patterns are needed, and
// neither the auditor nor the customers' record is blind.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { createTestVhost } from '@glasshouse/shared/testing';
import { runCommand } from './support/command.ts';
import { chaosEnv } from './support/platform-env.ts';

const root = join(import.meta.dirname, '..');
const { TEST_RABBITMQ_COUNTS_AGE_S } = process.env;

/** By pattern, what is found without it. */
const findings: Record<string, readonly RegExp[]> = {
  outbox: [/^FAILED \(b\)/m, /has a payment without an amount/, /orders reached their deadline/],
  inbox: [/^FAILED \(f\)/m],
  'conditional-stock-update': [/^FAILED \(f\)/m, /5 are left|there were 5, \d+ are sold, and -\d+ are left/],
  'idempotency-key': [/^FAILED \(g\)/m, /no key leads to it, so a repeated request has made it/],
  lease: [/the mail <\S+\.order\.confirmed@\S+> came \d+ times/],
};

test('every patch is tried here, and on the page', () => {
  const patterns = globSync('*.patch', { cwd: join(root, 'docs/failure-lab') }).map((file) => basename(file, '.patch'));
  assert.deepEqual(patterns.sort(), Object.keys(findings).sort());
  const page = readFileSync(join(root, 'docs/failure-lab.md'), 'utf8');
  for (const pattern of patterns) assert.ok(page.includes(`npm run without -- ${pattern}`), pattern);
});

for (const [pattern, found] of Object.entries(findings))
  test(`without the ${pattern}: it is noticed`, async () => {
    const vhost = await createTestVhost();
    try {
      const { status, stdout, stderr } = await runCommand(
        ['infrastructure/chaos/src/without.ts', pattern, '--port-offset', '12000'],
        {
          ...chaosEnv(),
          RABBITMQ_URL: vhost.url,
          RABBITMQ_MANAGEMENT_URL: vhost.managementUrl,
          ...(TEST_RABBITMQ_COUNTS_AGE_S && { AUDIT_QUEUE_COUNTS_AGE_S: TEST_RABBITMQ_COUNTS_AGE_S }),
        },
      );
      assert.equal(status, 0, `${stderr}\n${stdout}`);
      for (const finding of found) assert.match(stdout, finding);
    } finally {
      await vhost.drop();
    }
  });

test('a pattern that there is not is said in one line', async () => {
  const { status, stderr } = await runCommand(['infrastructure/chaos/src/without.ts', 'luck']);
  assert.equal(status, 2);
  assert.match(stderr, /^npm run without -- <pattern>, where the pattern is one of: .*outbox.*\.\n$/);
});
