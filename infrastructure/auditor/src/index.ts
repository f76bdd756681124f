// The audit: wait until nothing is under way, read the books of all services, and hold them against each other.
import type { Config } from './config.ts';
import { type EquationResult, judge } from './equations.ts';
import { createLook, type Quiet, waitUntilQuiet } from './quiet.ts';
import { openSources, readAll } from './read/sources.ts';
import { type Totals, totalsOf } from './totals.ts';

export { type Config, loadConfig, readEnvironment } from './config.ts';
export type { EquationResult, Finding } from './equations.ts';
export type { Quiet } from './quiet.ts';
export { Unreachable } from './read/source.ts';
export { asText } from './report.ts';
export type { Totals } from './totals.ts';

export interface Audit {
  /** Whether all equations hold. */
  ok: boolean;
  /** Absent where nobody waited. */
  quiet?: Quiet;
  equations: EquationResult[];
  totals: Totals;
}

/** What is granted on top of the longest life of a pending order, in seconds. */
const GRACE_S = 60;
/** The broker's clock ticks a little late now and then. */
const TICK_SLACK_MS = 500;

/**
 * Reads only. Where the system does not come to rest within `SAGA_TIMEOUT_S` + `graceS`, it is judged all the same.
 * @param options.waitForQuiet false judges at once what is there now
 * @throws Unreachable where a database, the broker or the ledger can't be read
 */
export async function audit(config: Config, { waitForQuiet = true, graceS = GRACE_S } = {}): Promise<Audit> {
  const sources = await openSources(config);
  try {
    if (!waitForQuiet) return conclude(await readAll(sources));
    const look = createLook(sources);
    const countsAgeMs = config.AUDIT_QUEUE_COUNTS_AGE_S * 1000 + TICK_SLACK_MS;
    const until = performance.now() + (config.SAGA_TIMEOUT_S + graceS) * 1000;
    for (;;) {
      const quiet = await waitUntilQuiet(look, until, countsAgeMs);
      const data = await readAll(sources);
      // What was read in the midst of something new may not fit together: begin again, while there is time.
      const after = quiet.reached ? await look() : undefined;
      const isSame = after === undefined || (after.handled === quiet.look.handled && after.underWay.length === 0);
      if (isSame || performance.now() >= until) return conclude(data, quiet);
    }
  } finally {
    await sources.close();
  }
}

function conclude(data: Parameters<typeof judge>[0], quiet?: Quiet): Audit {
  const equations = judge(data);
  const ok = equations.every((equation) => equation.ok);
  return { ok, ...(quiet && { quiet }), equations, totals: totalsOf(data) };
}
