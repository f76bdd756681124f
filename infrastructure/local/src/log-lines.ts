// Turns the services' log lines, one JSON object each, into lines for people: time, service, level, message, and the fields that matter.
import type { styleText } from 'node:util';
import { services } from './services.ts';

export type Format = Parameters<typeof styleText>[0];
/** Colours a text, or leaves it as it is where nobody would see the colour. */
export type Style = (format: Format, text: string) => string;

interface Entry {
  timestamp?: unknown;
  level: string;
  message: string;
  [field: string]: unknown;
}

interface LoggedError {
  name?: unknown;
  message: string;
  code?: unknown;
  stack?: unknown;
  cause?: unknown;
}

/** The longest name of a service, with room for the number of a copy. */
const NAME_WIDTH = 22;
const NO_TIME = ' '.repeat('HH:MM:SS.mmm'.length);

const colours: Record<string, Format> = {
  'api-gateway': 'bold',
  'user-service': 'blueBright',
  'product-service': 'green',
  'order-service': 'magentaBright',
  'payment-service': 'cyan',
  'notification-service': 'yellow',
};
const levelColours: Record<string, Format> = { error: 'red', warn: 'yellow' };

/** What reads best first; `durationMs` and the trace come last, everything else between. */
const leading = ['method', 'path', 'status', 'eventType', 'subject', 'outcome', 'occasion', 'orderId'];
/** Told in another way, or of use to programs alone: the raw lines have them. */
const hidden = new Set([
  ...['timestamp', 'level', 'message', 'service'],
  ...['traceId', 'spanId', 'requestId', 'eventId', 'durationMs'],
]);
/** Enough of a trace's id to find all lines of one order with `grep`. */
const TRACE_LENGTH = 8;

/** A line as winston writes it; undefined for any other. */
export function readEntry(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const entry = JSON.parse(line) as Partial<Entry>;
    return typeof entry.level === 'string' && typeof entry.message === 'string' ? (entry as Entry) : undefined;
  } catch {
    return undefined;
  }
}

/** One line, and nothing in it that a terminal would take for a command: a client chose some of these texts. */
const printable = (text: string) => text.replaceAll(/\s*\p{Cc}+\s*/gu, ' ').trim();

function localTime(timestamp: unknown): string {
  const time = new Date(String(timestamp));
  if (Number.isNaN(time.getTime())) return NO_TIME;
  return `${time.toTimeString().slice(0, 8)}.${String(time.getMilliseconds()).padStart(3, '0')}`;
}

function isError(value: unknown): value is LoggedError {
  return typeof value === 'object' && value !== null && typeof (value as LoggedError).message === 'string';
}

/** The error and what caused it, the outermost first. */
function chainOf(error: LoggedError): LoggedError[] {
  return isError(error.cause) ? [error, ...chainOf(error.cause)] : [error];
}

function describeError({ name, message, code }: LoggedError): string {
  const text = [name === 'Error' ? undefined : name, message].filter(Boolean).join(': ') || 'Error';
  return printable(code === undefined || text.includes(String(code)) ? text : `${text} (${code})`);
}

/** The frames alone: the line above has the messages. */
function framesOf({ stack }: LoggedError): string[] {
  return String(stack ?? '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .map((line) => `    ${printable(line)}`);
}

function stackOf(error: LoggedError): string[] {
  const [first, ...causes] = chainOf(error);
  return [
    ...(first === undefined ? [] : framesOf(first)),
    ...causes.flatMap((cause) => [`  caused by ${describeError(cause)}`, ...framesOf(cause)]),
  ];
}

function formatField(key: string, value: unknown): string {
  const text = typeof value === 'string' && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value);
  return `${key}=${printable(text ?? '')}`;
}

function fieldsOf(entry: Entry): [string, unknown][] {
  const shown = Object.entries(entry).filter(([key, value]) => !hidden.has(key) && !isError(value));
  const rank = (key: string) => (leading.includes(key) ? leading.indexOf(key) : leading.length);
  shown.sort(([one], [other]) => rank(one) - rank(other));
  if (entry.durationMs !== undefined) shown.push(['durationMs', entry.durationMs]);
  if (typeof entry.traceId === 'string') shown.push(['trace', entry.traceId.slice(0, TRACE_LENGTH)]);
  return shown;
}

function colourOf(name: string): Format {
  // A copy has its service's colour.
  const service = services.find((one) => name === one.name || name.startsWith(`${one.name}-`));
  return colours[service?.name ?? ''] ?? 'gray';
}

/**
 * One log line for people; an error's stack is indented under it. A line that is no log line comes as it is, after the name.
 * @param name whose line it is: `order-service`, `order-service-2`
 */
export function formatLogLine(name: string, line: string, style: Style): string {
  const prefix = style(colourOf(name), name.padEnd(NAME_WIDTH));
  const entry = readEntry(line);
  if (entry === undefined) return `${NO_TIME} ${prefix} ${line}`;
  const { level } = entry;
  const colour = levelColours[level];
  const emphasise = (text: string) => (colour === undefined ? text : style(colour, text));
  const errors = Object.values(entry).filter(isError);
  const message = [printable(entry.message), ...errors.map((error) => chainOf(error).map(describeError).join(' ← '))];
  const fields = fieldsOf(entry).map(([key, value]) => formatField(key, value));
  const parts = [
    style('dim', localTime(entry.timestamp)),
    prefix,
    ...(level === 'info' ? [] : [emphasise(level.toUpperCase())]),
    emphasise(message.join(': ')),
    ...(fields.length === 0 ? [] : [style('dim', fields.join(' '))]),
  ];
  const stack = level === 'error' ? errors.flatMap(stackOf) : [];
  return [parts.join(' '), ...stack.map((frame) => style('dim', frame))].join('\n');
}

/**
 * Prints log lines for people to `out`. Raw, `out` gets the JSON lines as they are and nothing else, for a program to
 * read, and `err` the others.
 */
export function createLogPrinter(options: {
  isRaw: boolean;
  style: Style;
  out: (text: string) => void;
  err: (text: string) => void;
}): (lines: readonly { name: string; text: string }[]) => void {
  const { isRaw, style, out, err } = options;
  return (lines) => {
    for (const { name, text } of lines) {
      if (!isRaw) out(formatLogLine(name, text, style));
      else if (readEntry(text) !== undefined) out(text);
      else err(text);
    }
  };
}
