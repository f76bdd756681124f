// Mails are kept as they came and read back in the order in which they came.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { readMailbox, storeMail } from './mailbox.ts';

const mail = (number: number) =>
  Buffer.from(
    [
      'From: shop@example.com',
      'To: Alice <alice@example.com>, bob@example.com',
      `Subject: =?utf-8?B?${Buffer.from(`Größe ${number}`).toString('base64')}?=`,
      `Message-ID: <${number}@example.com>`,
      '',
      `Text ${number}`,
    ].join('\r\n'),
  );

it('readMailbox: gives the kept mails, oldest first, decoded', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mailbox-'));
  const startedAt = Date.now();
  for (const number of [1, 2, 3]) {
    await storeMail(dir, mail(number));
    // Mails of the same millisecond have no order.
    const now = Date.now();
    while (Date.now() === now) await new Promise(setImmediate);
  }
  const mails = await readMailbox(dir);
  assert.deepEqual(
    mails.map(({ subject }) => subject),
    ['Größe 1', 'Größe 2', 'Größe 3'],
  );
  const [first] = mails;
  assert.deepEqual(first?.to, ['alice@example.com', 'bob@example.com']);
  assert.equal(first?.text.trim(), 'Text 1');
  assert.equal(first?.messageId, '<1@example.com>');
  const time = Date.parse(first?.time ?? '');
  assert.ok(time >= startedAt && time <= Date.now());
  assert.ok(readdirSync(dir).every((file) => file.endsWith('.eml')));
  rmSync(dir, { recursive: true });
});

it('readMailbox: where nothing was ever kept, gives nothing', async () => {
  assert.deepEqual(await readMailbox(join(tmpdir(), 'no-such-mailbox')), []);
});
