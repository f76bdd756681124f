// What people read: tables in Markdown, which a page can take as they are.
import type { Figure } from './statistics.ts';

export interface Table {
  columns: readonly string[];
  rows: readonly (readonly string[])[];
}

/** One line of the summary: a figure, and what the platform wants it to be. */
export interface Headline {
  what: string;
  figure: Figure;
  aim?: { atLeast: number } | { atMost: number };
  digits: number;
  unit?: string;
}

/** What one measurement has come to. */
export interface Section {
  /** As `--only` takes it. */
  name: string;
  title: string;
  /** What it stood on, beside the machine. */
  servers?: string;
  headlines: Headline[];
  tables: Table[];
  notes: string[];
}

/** Median and spread, as `0.41 (0.39–0.43)`. */
export function figure({ median, min, max, runs }: Figure, digits: number): string {
  const text = (value: number) => value.toFixed(digits);
  return runs === 1 ? text(median) : `${text(median)} (${text(min)}–${text(max)})`;
}

/** The first column is aligned left, the others right. */
export function table({ columns, rows }: Table): string {
  const all = [columns, ...rows];
  const widths = columns.map((_, index) => Math.max(3, ...all.map((row) => row[index]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, index) => (index === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[index] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(columns), rule, ...rows.map(line)].join('\n');
}

export function hasReached({ figure: { median }, aim }: Headline): boolean {
  if (aim === undefined) return true;
  return 'atLeast' in aim ? median >= aim.atLeast : median <= aim.atMost;
}

export function summary(headlines: readonly Headline[]): string {
  return table({
    columns: ['', 'median (lowest–highest run)', 'aim', ''],
    rows: headlines.map((headline) => {
      const { what, figure: measured, aim, digits, unit = '' } = headline;
      const wanted = aim === undefined ? '' : 'atLeast' in aim ? `≥ ${aim.atLeast}${unit}` : `≤ ${aim.atMost}${unit}`;
      return [
        what,
        `${figure(measured, digits)}${unit}`,
        wanted,
        aim === undefined ? '' : hasReached(headline) ? 'yes' : 'no',
      ];
    }),
  });
}

/** The tables of a section, and what has to be known to read them. */
export function sectionText({ tables, notes }: Section): string {
  return [...tables.map(table), notes.map((note) => `- ${note}`).join('\n')].filter((part) => part !== '').join('\n\n');
}
