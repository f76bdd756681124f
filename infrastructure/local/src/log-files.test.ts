// Of the log files nothing is lost, torn or shown twice, whatever way it was written.
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { logNames, openLogs } from './log-files.ts';

const dir = mkdtempSync(join(tmpdir(), 'log-files-'));
let folders = 0;

function newFolder() {
  const folder = join(dir, String(++folders));
  mkdirSync(folder);
  const append = (name: string, text: string | Buffer) => appendFileSync(join(folder, `${name}.log`), text);
  return { folder, append };
}

const all = () => true;
const at = (time: string, message: string) => JSON.stringify({ level: 'info', message, timestamp: time });
const texts = (lines: { text: string }[]) => lines.map(({ text }) => text);

describe('openLogs', () => {
  after(() => rmSync(dir, { recursive: true }));

  it('read: what has come since the last call, of the wanted logs, also of one that is new', () => {
    const { folder, append } = newFolder();
    append('orders', 'before\n');
    const logs = openLogs(folder, (name) => name !== 'postgres');
    assert.deepEqual(logs.read(), []);
    append('orders', 'one\ntwo\n');
    append('postgres', 'noise\n');
    append('orders-2', 'first\n');
    assert.deepEqual(logs.read(), [
      { name: 'orders', text: 'one' },
      { name: 'orders', text: 'two' },
      { name: 'orders-2', text: 'first' },
    ]);
    assert.deepEqual(logs.read(), []);
  });

  it('read: a line written in halves comes whole, and once', () => {
    const { folder, append } = newFolder();
    const line = Buffer.from(at('2026-01-01T00:00:00.000Z', 'Grüße'));
    const middle = line.indexOf('ü') + 1;
    append('orders', line.subarray(0, middle));
    // Opened in the middle of a line, too.
    const logs = openLogs(folder, all);
    assert.deepEqual(logs.read(), []);
    append('orders', line.subarray(middle));
    assert.deepEqual(logs.read(), []);
    append('orders', '\nnext');
    assert.deepEqual(texts(logs.read()), [line.toString()]);
    assert.deepEqual(texts(logs.readRest()), ['next'], 'a process that was killed while it wrote');
    assert.deepEqual(logs.readRest(), []);
  });

  it('read: a line of 100 kB comes whole', () => {
    const { folder, append } = newFolder();
    const logs = openLogs(folder, all);
    const line = at('2026-01-01T00:00:00.000Z', 'x'.repeat(100_000));
    append('orders', `${line}\n${line}\n`);
    assert.deepEqual(texts(logs.read()), [line, line]);
  });

  it('read: lines of several logs come in the order of their times, a stack with the line before it', () => {
    const { folder, append } = newFolder();
    const logs = openLogs(folder, all);
    const [first, second, third] = [1, 2, 3].map((second) => at(`2026-01-01T00:00:0${second}.000Z`, 'x')) as [
      string,
      string,
      string,
    ];
    append('a', `${first}\nError\n    at a.ts\n${third}\n`);
    append('b', `${second}\n`);
    assert.deepEqual(texts(logs.read()), [first, 'Error', '    at a.ts', second, third]);
  });

  it('before: begins with as many of the last lines of each log, however long they are', () => {
    const { folder, append } = newFolder();
    const long = 'x'.repeat(150_000);
    append('orders', `one\n${long}\n\nfour\ntorn`);
    append('users', 'only\n');
    const texts3 = (before: number) => texts(openLogs(folder, all, before).read());
    assert.deepEqual(texts3(0), []);
    assert.deepEqual(texts3(1), ['four', 'only']);
    assert.deepEqual(texts3(3), [long, '', 'four', 'only']);
    assert.deepEqual(texts3(4), ['one', long, '', 'four', 'only']);
    assert.deepEqual(texts3(100), ['one', long, '', 'four', 'only']);
  });

  it('read: a log that was begun anew is read from its first line', () => {
    const { folder, append } = newFolder();
    append('orders', 'a long line of an earlier start\n');
    const logs = openLogs(folder, all);
    writeFileSync(join(folder, 'orders.log'), 'new\n');
    assert.deepEqual(texts(logs.read()), ['new']);
  });

  it('logNames: where nothing was ever started, none', () => {
    assert.deepEqual(logNames(join(dir, 'no-such-folder')), []);
  });
});
