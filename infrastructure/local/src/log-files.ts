// Reads what the processes append to their log files: whole lines, of all files in the order of their times.
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readEntry } from './log-lines.ts';

export interface LogLine {
  /** The file's without its ending: `order-service`, `order-service-2`, `order-service-migrate`. */
  name: string;
  text: string;
}

export interface LogReader {
  /** What has been finished since the last call. */
  read(): LogLine[];
  /** The same, and what was begun and never finished. */
  readRest(): LogLine[];
}

const CHUNK_BYTES = 64 * 1024;
const LINE_FEED = 10;

function withFile<T>(path: string, work: (handle: number, size: number) => T): T {
  const handle = openSync(path, 'r');
  try {
    return work(handle, fstatSync(handle).size);
  } finally {
    closeSync(handle);
  }
}

function readBytes(handle: number, from: number, to: number): Buffer {
  const buffer = Buffer.alloc(to - from);
  return buffer.subarray(0, readSync(handle, buffer, 0, buffer.length, from));
}

/** Where the last `count` finished lines of a file begin; for 0, the end of the last of them. */
function placeOfLast(path: string, count: number): number {
  return withFile(path, (handle, size) => {
    let missing = count + 1;
    for (let end = size; end > 0; end -= CHUNK_BYTES) {
      const start = Math.max(0, end - CHUNK_BYTES);
      const chunk = readBytes(handle, start, end);
      for (let at = chunk.lastIndexOf(LINE_FEED); at >= 0; at = at === 0 ? -1 : chunk.lastIndexOf(LINE_FEED, at - 1)) {
        missing -= 1;
        if (missing === 0) return start + at + 1;
      }
    }
    return 0;
  });
}

/** The names of the logs in a folder. */
export function logNames(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.log'))
    .map((file) => file.slice(0, -'.log'.length))
    .sort();
}

/**
 * Begins to read the logs in `folder`; one that appears later is read from its first line.
 * @param before how many of the lines that are there already to begin with, of each log
 */
export function openLogs(folder: string, isWanted: (name: string) => boolean, before = 0): LogReader {
  const pathOf = (name: string) => join(folder, `${name}.log`);
  const wanted = () => logNames(folder).filter(isWanted);
  const places = new Map(wanted().map((name) => [name, placeOfLast(pathOf(name), before)]));
  // A line without a time belongs to the one before it: the stack of a crash, say.
  const times = new Map<string, string>();

  function readOne(name: string, isLast: boolean): LogLine[] {
    const known = places.get(name) ?? 0;
    const size = statSync(pathOf(name), { throwIfNoEntry: false })?.size ?? known;
    if (size === known) return [];
    // Shorter than it was: it has begun anew.
    const from = size < known ? 0 : known;
    const bytes = withFile(pathOf(name), (handle) => readBytes(handle, from, size));
    const end = isLast ? bytes.length : bytes.lastIndexOf(LINE_FEED) + 1;
    places.set(name, from + end);
    const lines = bytes.toString('utf8', 0, end).split('\n');
    // After the last line feed there is nothing.
    if (lines.at(-1) === '') lines.pop();
    return lines.map((text) => ({ name, text }));
  }

  function readAll(isLast: boolean): LogLine[] {
    const timed = wanted().flatMap((name) =>
      readOne(name, isLast).map((line) => {
        const timestamp = readEntry(line.text)?.timestamp;
        const time = typeof timestamp === 'string' ? timestamp : (times.get(name) ?? '');
        times.set(name, time);
        return { line, time };
      }),
    );
    timed.sort((one, other) => (one.time < other.time ? -1 : one.time > other.time ? 1 : 0));
    return timed.map(({ line }) => line);
  }

  return { read: () => readAll(false), readRest: () => readAll(true) };
}
