// What people and programs are shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeadLetter } from './dead-letter.ts';
import { asDetails, asJsonLine, asList } from './report.ts';

const letter: DeadLetter = {
  service: 'order-service',
  queue: 'order-service.events.dead',
  id: '019b8d2b-0000-7000-8000-000000000001',
  messageId: '019b8d2b-0000-7000-8000-000000000001',
  type: 'payment.captured',
  subject: '019b8d2b-0000-7000-8000-000000000002',
  attempts: 6,
  reason: 'AppError: no such order',
  failedAt: '2026-01-02T03:04:05.678Z',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  correlationId: 'request-1',
  content: { id: '019b8d2b-0000-7000-8000-000000000001' },
};
const unread: DeadLetter = {
  ...letter,
  service: 'payment-service',
  ...{ type: undefined, subject: undefined, attempts: undefined, reason: undefined, failedAt: undefined },
  ...{ traceId: undefined, correlationId: undefined, messageId: undefined },
  content: 'not JSON',
};

test('asList: a heading for each service, a line for each message', () => {
  assert.equal(asList([]), 'No message is parked.');
  assert.deepEqual(asList([letter, { ...letter, attempts: 1 }, unread]).split('\n'), [
    'order-service: 2 messages',
    '  019b8d2b-0000-7000-8000-000000000001  payment.captured      019b8d2b-0000-7000-8000-000000000002  6 attempts  2026-01-02T03:04:05Z  AppError: no such order',
    '  019b8d2b-0000-7000-8000-000000000001  payment.captured      019b8d2b-0000-7000-8000-000000000002  1 attempt   2026-01-02T03:04:05Z  AppError: no such order',
    'payment-service: 1 message',
    '  019b8d2b-0000-7000-8000-000000000001  no type               no subject                            ? attempts  time unknown          no reason given',
  ]);
});

test('asList: a line is a line, whatever was written into the message', () => {
  const nasty = { ...letter, type: 'a\nb', reason: `\u001b[2J line\r\nbreak ${'x'.repeat(500)}` };
  const [, line = '', ...rest] = asList([nasty], 240).split('\n');
  assert.deepEqual(rest, []);
  assert.equal(line.length, 240);
  assert.equal(asList([nasty], 80).split('\n')[1]?.length, 200);
  assert.match(line, / {2}a b .*\\u001b\[2J line break x+$/);
});

test('asDetails: everything, with the content as people read it', () => {
  const text = asDetails(letter);
  for (const value of Object.values(letter).filter((part) => typeof part !== 'object'))
    assert.ok(text.includes(String(value)), String(value));
  assert.ok(text.endsWith('\n\n{\n  "id": "019b8d2b-0000-7000-8000-000000000001"\n}'));
  assert.ok(asDetails({ ...unread, content: 'two\nlines\u0007' }).endsWith('\n\ntwo\nlines\\u0007'));
  assert.ok(asDetails({ ...unread, content: '?', contentBase64: '//4A' }).endsWith('\n//4A'));
  assert.match(asDetails(unread), /^reason: +–$/m);
});

test('asJsonLine: one line that can be read again', () => {
  const line = asJsonLine({ ...letter, content: 'two\nlines' });
  assert.ok(!line.includes('\n'));
  assert.deepEqual(JSON.parse(line), { ...letter, content: 'two\nlines' });
});
