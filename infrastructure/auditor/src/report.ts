// An audit in words, for people, and as JSON, for programs.
import type { Money } from '@glasshouse/shared/contracts';
import type { EquationResult } from './equations.ts';
import type { Audit } from './index.ts';
import { formatMoney } from './money.ts';

/** More would hide the rest; their number is told. */
const MOST_FINDINGS = 10;

const count = (number: number) => number.toLocaleString('en-US');

/** A line for each equation, what is wrong below it, and a summary at the end. */
export function asText({ ok, quiet, equations, totals }: Audit): string {
  const failed = equations.filter((equation) => !equation.ok).length;
  return [
    ...(quiet === undefined ? [] : [...quietLines(quiet), '']),
    ...equations.flatMap(equationLines),
    '',
    `Orders: ${listOrNone(Object.entries(totals.orders).map(([status, orders]) => `${count(orders)} ${status}`))}. ` +
      `Paid: ${listOrNone(sums(totals.captured))}. Given back: ${listOrNone(sums(totals.refunded))}. ` +
      `Units sold: ${count(totals.unitsSold)}.`,
    ok ? 'All is well: every line holds.' : `${failed} of ${equations.length} lines do not hold.`,
  ].join('\n');
}

function quietLines({ reached, waitedS, look }: NonNullable<Audit['quiet']>): string[] {
  if (reached) return [`Nothing is under way (looked for ${waitedS} s).`];
  return [
    `Something is still under way after ${waitedS} s; judged all the same:`,
    ...look.underWay.map((what) => `  ${what}`),
  ];
}

function equationLines({ id, says, ok, checked, unit, findings }: EquationResult): string[] {
  const shown = findings.slice(0, MOST_FINDINGS);
  const rest = findings.length - shown.length;
  return [
    `${ok ? 'ok    ' : 'FAILED'} (${id}) ${says} (${count(checked)} ${unit})`,
    ...shown.map((finding) => `           ${finding.id}: ${finding.problem}`),
    ...(rest > 0 ? [`           and ${count(rest)} more`] : []),
  ];
}

const sums = (money: Money[]) => money.map(({ amount, currency }) => formatMoney(amount, currency));

const listOrNone = (parts: string[]) => (parts.length === 0 ? 'none' : parts.join(', '));

/** The same: at most 10 findings of each equation, and how many there are. */
export function asJson({ ok, quiet, equations, totals }: Audit): string {
  return JSON.stringify(
    {
      ok,
      ...(quiet && { quiet: { reached: quiet.reached, waitedS: quiet.waitedS, underWay: quiet.look.underWay } }),
      equations: equations.map(({ findings, ...equation }) => ({
        ...equation,
        failures: findings.length,
        findings: findings.slice(0, MOST_FINDINGS),
      })),
      totals,
    },
    null,
    2,
  );
}
