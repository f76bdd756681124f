// Parked messages in words, for people, and as JSON, for programs.
import type { DeadLetter } from './dead-letter.ts';

/** Shorter reasons are of no use, however narrow the terminal. */
const SHORTEST_LINE = 200;

/** What somebody else has written must not move the cursor of a terminal. */
const escapeControls = (text: string) =>
  text.replace(/\p{Cc}/gu, (character) =>
    character === '\n' || character === '\t'
      ? character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const onOneLine = (text: string) => escapeControls(text.replace(/\s+/g, ' '));

const times = (count: number | undefined, one: string, many: string) =>
  count === undefined ? `? ${many}` : `${count} ${count === 1 ? one : many}`;

/**
 * A heading for each service that has parked messages, and a line for each message.
 * @param width of a line, in characters
 */
export function asList(letters: readonly DeadLetter[], width = SHORTEST_LINE): string {
  if (letters.length === 0) return 'No message is parked.';
  const byService = Map.groupBy(letters, (letter) => letter.service);
  return [...byService]
    .flatMap(([service, parked]) => [
      `${service}: ${times(parked.length, 'message', 'messages')}`,
      ...parked.map((letter) => `  ${asLine(letter)}`.slice(0, Math.max(width, SHORTEST_LINE))),
    ])
    .join('\n');
}

function asLine({ id, type, subject, attempts, failedAt, reason }: DeadLetter): string {
  const when = failedAt?.replace(/\.\d+Z$/, 'Z');
  return [
    id.padEnd(36),
    onOneLine(type ?? 'no type').padEnd(20),
    onOneLine(subject ?? 'no subject').padEnd(36),
    times(attempts, 'attempt', 'attempts').padEnd(10),
    onOneLine(when ?? 'time unknown').padEnd(20),
    onOneLine(reason ?? 'no reason given'),
  ].join('  ');
}

/** Everything about one message. */
export function asDetails(letter: DeadLetter): string {
  const { service, queue, id, messageId, type, subject, attempts, reason, failedAt, traceId, correlationId } = letter;
  const rows = Object.entries({
    id,
    'message id': messageId,
    service,
    queue,
    type,
    subject,
    attempts,
    reason,
    'failed at': failedAt,
    'trace id': traceId,
    'correlation id': correlationId,
  });
  return [
    ...rows.map(([name, value]) => `${`${name}:`.padEnd(16)}${onOneLine(String(value ?? '–'))}`),
    '',
    contentOf(letter),
  ].join('\n');
}

function contentOf({ content, contentBase64 }: DeadLetter): string {
  if (contentBase64 !== undefined) return `not text; in base64:\n${contentBase64}`;
  return escapeControls(typeof content === 'string' ? content : JSON.stringify(content, null, 2));
}

/** One message on one line, whole: what is dropped can be kept so. */
export const asJsonLine = (letter: DeadLetter): string => JSON.stringify(letter);

/** Everything but the content. */
export function asJsonList(letters: readonly DeadLetter[]): string {
  return JSON.stringify(
    letters.map(({ content: _, contentBase64: __, ...rest }) => rest),
    null,
    2,
  );
}

/** Everything. */
export const asJson = (letters: readonly DeadLetter[]): string => JSON.stringify(letters, null, 2);
