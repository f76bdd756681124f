// `npm run chaos`, a short selection of it: a part of each kind breaks while orders flow, and every book agrees afterwards. Processes are killed in
// test/crash-points-killed.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand } from './support/command.ts';
import { chaosEnv } from './support/platform-env.ts';

const selection = [
  'rolling-restart',
  'rabbitmq-crash',
  'network-half-open-product-service-database',
  'messages-reversed',
];
/** Away from those of test/support/platform.ts. */
const PORT_OFFSET = '11000';

test('processes are restarted, the broker crashes, connections go dead, messages come in reverse: nothing is lost', async () => {
  const { status, stdout, stderr } = await runCommand(
    [
      'infrastructure/chaos/src/main.ts',
      ...['--scenario', selection.join(',')],
      ...['--orders', String(selection.length * 20), '--rate', '2', '--seed', '1', '--port-offset', PORT_OFFSET],
    ],
    chaosEnv(),
  );
  assert.equal(status, 0, `${stderr}\n${stdout}`);
  for (const name of selection) {
    const row = new RegExp(`^\\| ${name} .*$`, 'm').exec(stdout)?.[0] ?? '';
    const [faults = 0, orders = 0, confirmed = 0] = row.split('|').slice(2).map(Number);
    assert.ok(faults > 0, `something was broken: ${row}`);
    assert.ok(orders >= 20 && confirmed >= 10, `orders went through: ${row}`);
    assert.match(row, /ok \| +ok \|$/, row);
  }
});

test('what the command does not understand is said in one line', async () => {
  const { status, stderr } = await runCommand(['infrastructure/chaos/src/main.ts', '--scenario', 'nothing']);
  assert.equal(status, 2);
  assert.equal(stderr, 'There is no scenario "nothing"; --list shows them all.\n');
});
