// Log lines for people: what is shown of each kind of line, and that nothing in them reaches the terminal as a command.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stripVTControlCharacters, styleText } from 'node:util';
import { createLogPrinter, formatLogLine, type Style } from './log-lines.ts';

process.env.TZ = 'UTC';
const plain: Style = (_format, text) => text;
const coloured: Style = (format, text) => styleText(format, text, { validateStream: false });
const common = { service: 'order-service', timestamp: '2026-01-02T03:04:05.678Z' };
const ids = { traceId: '0123456789abcdef0123456789abcdef', spanId: '0123456789abcdef', requestId: 'r-1' };
const format = (entry: object, style = plain) =>
  formatLogLine('order-service', JSON.stringify({ ...common, level: 'info', ...entry }), style);

describe('formatLogLine', () => {
  it('a request: time, name, method, path, status, duration and the beginning of the trace', () => {
    const request = { durationMs: 12, message: 'request', method: 'POST', path: '/v1/orders', status: 201, ...ids };
    assert.equal(
      format(request),
      '03:04:05.678 order-service          request method=POST path=/v1/orders status=201 durationMs=12 trace=01234567',
    );
  });

  it('an event: its type and subject first, no ids that only programs use', () => {
    const handled = { durationMs: 3, eventId: 'e-1', eventType: 'order.created', message: 'handled', subject: 'o-1' };
    assert.equal(
      format(handled),
      '03:04:05.678 order-service          handled eventType=order.created subject=o-1 durationMs=3',
    );
  });

  it('other fields: those that tell most first', () => {
    const sent = { mailId: 'm-1', message: 'mail sent', occasion: 'order.confirmed', orderId: 'o-1' };
    assert.match(format(sent), / mail sent occasion=order\.confirmed orderId=o-1 mailId=m-1$/);
  });

  it('a warning: its level, the error and what caused it, in one line without a stack', () => {
    const cause = {
      name: 'Error',
      message: 'connect ECONNREFUSED',
      code: 'ECONNREFUSED',
      stack: 'Error\n    at a.ts:1',
    };
    const error = {
      name: 'TypeError',
      message: 'fetch\n  failed',
      code: 'E1',
      stack: 'TypeError\n    at b.ts:2',
      cause,
    };
    assert.equal(
      format({ level: 'warn', message: 'no keys', error }),
      '03:04:05.678 order-service          WARN no keys: TypeError: fetch failed (E1) ← connect ECONNREFUSED',
    );
  });

  it('an error: the frames of its stack and of its causes are indented under the line', () => {
    const cause = { name: 'AggregateError', message: '', code: 'ECONNREFUSED', stack: 'AggregateError\n    at c.ts:3' };
    const error = {
      name: 'Error',
      message: 'no\nanswer',
      stack: 'Error: no\nanswer\n    at a.ts:1\n    at b.ts:2',
      cause,
    };
    assert.equal(
      format({ level: 'error', message: 'a request failed', error }),
      `03:04:05.678 order-service          ERROR a request failed: no answer ← AggregateError (ECONNREFUSED)
    at a.ts:1
    at b.ts:2
  caused by AggregateError (ECONNREFUSED)
    at c.ts:3`,
    );
  });

  it('values with spaces are quoted, lists and objects are JSON', () => {
    const line = format({ message: 'x', error: 'not now', rows: [1, 'two'], part: { name: 'bus' } });
    assert.match(line, / x error="not now" rows=\[1,"two"\] part=\{"name":"bus"\}$/);
  });

  it('a line that is no log line comes as it is, after the name', () => {
    for (const line of ['    at main.ts:3', '{"message":"no level"}', '{ torn', '[]', ''])
      assert.equal(formatLogLine('payment-service', line, plain), `             payment-service        ${line}`);
  });

  it('without a time, the line is still in its column', () => {
    assert.equal(
      formatLogLine('order-service', '{"level":"info","message":"x"}', plain).slice(0, 37),
      `${' '.repeat(12)} order-service          x`,
    );
  });

  it('what a client sent commands no terminal and breaks no line', () => {
    const line = format({ message: 'a\u001b[2Jb', path: '/\u009b31m\nINFO forged', error: { message: 'c\rd\u0007' } });
    assert.doesNotMatch(line, /\p{Cc}/u);
  });

  it('colours: one for each service and its copies, yellow for warnings, red for errors, none of the text changed', () => {
    const warning = JSON.stringify({ ...common, level: 'warn', message: 'late', ...ids });
    const line = formatLogLine('order-service', warning, coloured);
    assert.equal(stripVTControlCharacters(line), formatLogLine('order-service', warning, plain));
    assert.ok(line.includes(styleText('yellow', 'WARN', { validateStream: false })));
    assert.ok(format({ level: 'error', message: 'x' }, coloured).includes(coloured('red', 'ERROR')));
    const names = ['api-gateway', 'user-service', 'product-service', 'order-service', 'payment-service'];
    const opening = (name: string) => formatLogLine(name, 'x', coloured).trimStart().split(name)[0];
    assert.equal(new Set([...names, 'notification-service', 'mail-server'].map(opening)).size, 7);
    assert.equal(opening('order-service-2'), opening('order-service'));
  });
});

describe('createLogPrinter', () => {
  const entry = JSON.stringify({ ...common, level: 'info', message: 'started' });
  const lines = [entry, 'Node.js v26'].map((text) => ({ name: 'order-service', text }));
  const printed = (isRaw: boolean) => {
    const [out, err]: [string[], string[]] = [[], []];
    createLogPrinter({ isRaw, style: plain, out: (text) => out.push(text), err: (text) => err.push(text) })(lines);
    return { out, err };
  };

  it('raw: the JSON lines untouched, all else beside them', () => {
    assert.deepEqual(printed(true), { out: [entry], err: ['Node.js v26'] });
  });

  it('otherwise: every line, for people', () => {
    assert.deepEqual(printed(false), { out: lines.map((line) => formatLogLine(line.name, line.text, plain)), err: [] });
  });
});
