// What people read: a line of progress while it runs, and a table at the end.
import { stripVTControlCharacters } from 'node:util';
import { type Audit, asText } from '@glasshouse/auditor';
import type { Shopping } from './customers.ts';
import type { Result } from './run.ts';

/** Says what goes on: on a terminal a line that changes, in a log one line for each thing said. */
export interface Progress {
  tell(line: string): void;
  /** Shows how many orders are on their way, next to what was told last. */
  follow(shopping: Pick<Shopping, 'progress'> | undefined): void;
  /** Writes a line that stays. */
  print(text: string): void;
}

const columns: readonly { title: string; value(result: Result): number | string }[] = [
  { title: 'scenario', value: ({ scenario }) => scenario },
  { title: 'faults', value: ({ faults }) => faults },
  { title: 'orders', value: ({ verdict }) => verdict.acknowledged },
  { title: 'confirmed', value: ({ verdict }) => verdict.confirmed },
  { title: 'cancelled', value: ({ verdict }) => verdict.cancelled },
  { title: 'refused', value: ({ refused }) => refused.refused },
  { title: 'no answer', value: ({ refused }) => refused.unanswered },
  { title: 'lost', value: ({ verdict }) => verdict.lost },
  { title: 'doubled', value: ({ verdict }) => verdict.doubled },
  { title: 'oversold', value: ({ verdict }) => verdict.oversold },
  { title: 'mischarged', value: ({ verdict }) => verdict.mischarged },
  { title: 'stuck', value: ({ verdict }) => verdict.stuck },
  { title: 'mail twice', value: ({ verdict }) => verdict.mailCopies },
  { title: 'longest', value: ({ verdict }) => `${verdict.longestS.toFixed(1)} s` },
  { title: 'audit', value: ({ audited }) => brokenLetters(audited) || 'ok' },
  { title: '', value: ({ violations }) => (violations.length === 0 ? 'ok' : 'FAILED') },
];

const brokenLetters = ({ equations }: Audit) =>
  equations
    .filter(({ ok }) => !ok)
    .map(({ id }) => `(${id})`)
    .join(' ');

/** The sum of a column of numbers, the largest of one of times. */
function sumUp(results: readonly Result[], value: (result: Result) => number | string, title: string): string {
  const values = results.map(value);
  if (title === 'scenario') return `${results.length} scenarios`;
  if (title === 'longest') return `${Math.max(0, ...results.map(({ verdict }) => verdict.longestS)).toFixed(1)} s`;
  if (values.every((each) => typeof each === 'number')) return String(values.reduce((sum, each) => sum + each, 0));
  return values.every((each) => each === 'ok') ? 'ok' : 'FAILED';
}

/** In Markdown, so that it can be put into a page as it is. */
export function table(results: readonly Result[]): string {
  const rows = [
    columns.map(({ title }) => title),
    ...results.map((result) => columns.map(({ value }) => String(value(result)))),
    columns.map(({ title, value }) => sumUp(results, value, title)),
  ];
  const widths = columns.map((_, index) => Math.max(3, ...rows.map((row) => row[index]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, index) => (index === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(rows[0] ?? []), rule, ...rows.slice(1).map(line)].join('\n');
}

/** What was wrong in a scenario, of many findings the first few; and the auditor's table where it is not content. */
export function complaints({ scenario, violations, audited }: Result, most = 20): string {
  const rest = violations.length - most;
  return [
    `${scenario}:`,
    ...violations.slice(0, most).map((violation) => `  ${violation}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
    ...(audited.ok ? [] : ['', 'The auditor:', asText(audited)]),
  ].join('\n');
}

export function createProgress(output: NodeJS.WriteStream, name: () => string): Progress {
  const startedAt = performance.now();
  let last = '';
  let shopping: Pick<Shopping, 'progress'> | undefined;
  const clock = () => {
    const seconds = Math.floor((performance.now() - startedAt) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  };
  const lineOf = (what: string) => {
    const orders = shopping?.progress();
    const counted = orders === undefined ? '' : `${orders.acknowledged} of ${orders.sent} orders acknowledged, `;
    return `${clock().padStart(6)}  ${name()}: ${counted}${what}`;
  };
  const draw = () => {
    if (!output.isTTY) return;
    output.write(`\r\x1b[2K${stripVTControlCharacters(lineOf(last)).slice(0, output.columns - 1)}`);
  };
  if (output.isTTY) setInterval(draw, 500).unref();
  return {
    tell(what) {
      last = what;
      if (output.isTTY) draw();
      else output.write(`${lineOf(what)}\n`);
    },
    follow(next) {
      shopping = next;
    },
    print(text) {
      if (output.isTTY) output.write('\r\x1b[2K');
      console.log(text);
    },
  };
}
