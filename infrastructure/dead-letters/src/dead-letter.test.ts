// A parked message is read whatever is wrong with it, and is always named the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GetMessage } from 'amqplib';
import { readDeadLetter } from './dead-letter.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const EVENT_ID = '019b8d2b-0000-7000-8000-000000000001';
const event = {
  id: EVENT_ID,
  type: 'payment.captured',
  subject: '019b8d2b-0000-7000-8000-000000000002',
  correlationid: 'request-1',
};

function message(content: unknown, headers: Record<string, unknown> = {}, properties: Record<string, unknown> = {}) {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  return { content: bytes, fields: {}, properties: { headers, ...properties } } as unknown as GetMessage;
}
const read = (...parts: Parameters<typeof message>) => readDeadLetter('order-service', message(...parts));

test('readDeadLetter: an event that the consumer parked', () => {
  const headers = {
    'x-attempts': 6,
    'x-reason': 'AppError: no such order',
    'x-failed-at': '2026-01-02T03:04:05.678Z',
    traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01`,
  };
  assert.deepEqual(read(event, headers, { messageId: `${EVENT_ID}#6` }), {
    service: 'order-service',
    queue: 'order-service.events.dead',
    id: EVENT_ID,
    messageId: EVENT_ID,
    type: 'payment.captured',
    subject: event.subject,
    attempts: 6,
    reason: 'AppError: no such order',
    failedAt: '2026-01-02T03:04:05.678Z',
    traceId: TRACE_ID,
    correlationId: 'request-1',
    content: event,
  });
});

test("readDeadLetter: its name is the event's id, else the message's without its attempts, else a hash", () => {
  assert.equal(read(event, {}, { messageId: 'other' }).id, EVENT_ID);
  assert.equal(read(Buffer.from('not JSON'), {}, { messageId: 'some-id#1#2' }).id, 'some-id');
  assert.equal(read({ ...event, id: 'not a UUID' }, {}, { messageId: 'some-id#1' }).id, 'some-id');
  const hash = read(Buffer.from('not JSON')).id;
  assert.match(hash, /^[0-9a-f]{16}$/);
  assert.equal(read(Buffer.from('not JSON'), { 'x-delivery-count': 7 }).id, hash);
  assert.equal(read(Buffer.from('not JSON'), {}, { messageId: 'has a space; rm -rf' }).id, hash);
  assert.notEqual(read(Buffer.from('not  JSON')).id, hash);
});

test('readDeadLetter: what is missing or of a wrong type is undefined, whatever the content is', () => {
  const wrong = {
    'x-attempts': 'many',
    'x-reason': 5,
    'x-failed-at': null,
    'x-death': 'never',
    traceparent: 'garbage',
  };
  for (const content of [null, 5, 'text', [], { id: 1, type: 2, subject: 3, correlationid: 4 }]) {
    const { content: seen, ...letter } = read(content, wrong, { messageId: 'some-id', type: undefined });
    assert.deepEqual(seen, content);
    assert.deepEqual(letter, {
      service: 'order-service',
      queue: 'order-service.events.dead',
      id: 'some-id',
      messageId: 'some-id',
      ...{ type: undefined, subject: undefined, attempts: undefined, reason: undefined, failedAt: undefined },
      ...{ traceId: undefined, correlationId: undefined },
    });
  }
});

test('readDeadLetter: text that is not JSON stays text; bytes that are not text are kept as well', () => {
  assert.equal(read(Buffer.from('{"half":')).content, '{"half":');
  assert.equal(read(Buffer.from('{"half":')).contentBase64, undefined);
  const bytes = Buffer.from([0xff, 0xfe, 0x00]);
  assert.deepEqual(Buffer.from(read(bytes).contentBase64 ?? '', 'base64'), bytes);
});

test('readDeadLetter: what the broker parked has its reason and time from there, an earlier attempt notwithstanding', () => {
  const death = (queue: string, reason: string) => ({
    count: 1,
    queue,
    reason,
    time: { '!': 'timestamp', value: Date.UTC(2026, 0, 2, 3, 4, 5) / 1000 },
  });
  const parked = read(event, {
    'x-attempts': 2,
    'x-reason': 'Error: a bug',
    'x-failed-at': '2025-01-01T00:00:00.000Z',
    'x-death': [
      death('order-service.events.dead', 'rejected'),
      death('order-service.events', 'delivery_limit'),
      death('order-service.events.retry.5s', 'expired'),
    ],
  });
  assert.match(parked.reason ?? '', /^delivery limit: /);
  assert.equal(parked.failedAt, '2026-01-02T03:04:05.000Z');
  assert.equal(parked.attempts, 2);
  const other = read(event, { 'x-death': [death('order-service.events', 'rejected')] });
  assert.equal(other.reason, 'the broker took it out of order-service.events: rejected');
  // Looked at so often that it was renewed: that is no reason.
  const renewed = read(event, {
    'x-reason': 'Error: a bug',
    'x-death': [death('order-service.events.dead', 'rejected')],
  });
  assert.equal(renewed.reason, 'Error: a bug');
});
