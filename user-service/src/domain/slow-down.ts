// How guessing passwords is slowed down: pure functions over what is counted. docs/adr/0014-slow-down-against-guessing.md says why.

/** The longest that anybody waits, in seconds. */
const MAX_WAIT_S = 30;
/** Failures older than this are forgotten, in milliseconds. */
const MEMORY_MS = 15 * 60_000;

/** What is counted; each has a limit of its own. */
export type CounterKind = 'account' | 'address';

export interface Counter {
  /** A keyed hash of whom it counts. */
  key: string;
  /**
   * `account`: failures for one e-mail address, forgotten when none has come for a while.
   * `address`: failures from one network address over all accounts, forgotten a while after the first: many people may share it.
   */
  kind: CounterKind;
  failures: number;
  nextTryAt: Date;
  forgetAt: Date;
}

/** How many failures are free, for each kind; 0 = it is not counted. */
export type FreeFailures = Record<CounterKind, number>;

const waitMs = (failures: number, free: number) =>
  failures < free ? 0 : 1000 * Math.min(MAX_WAIT_S, 2 ** (failures - free));
const after = (now: Date, ms: number) => new Date(now.getTime() + ms);

/** The counter without what is too old to count. */
function current(counter: Counter, now: Date): Counter {
  return counter.forgetAt > now ? counter : { ...counter, failures: 0, nextTryAt: now, forgetAt: now };
}

/** How long the next try has to wait, in seconds; 0 = not at all. */
export function secondsToWait(counter: Counter, free: FreeFailures, now: Date): number {
  const { failures, nextTryAt } = current(counter, now);
  return failures < free[counter.kind] ? 0 : Math.max(0, Math.ceil((nextTryAt.getTime() - now.getTime()) / 1000));
}

/** Of many that have waited one may try: the others wait as if it had failed already. The same counter where nobody has to wait. */
export function claimTry(counter: Counter, free: FreeFailures, now: Date): Counter {
  const wait = waitMs(current(counter, now).failures, free[counter.kind]);
  return wait === 0 ? counter : { ...counter, nextTryAt: after(now, wait) };
}

export function countFailure(counter: Counter, free: FreeFailures, now: Date): Counter {
  const { failures: before, forgetAt } = current(counter, now);
  const failures = before + 1;
  return {
    ...counter,
    failures,
    nextTryAt: after(now, waitMs(failures, free[counter.kind])),
    forgetAt: counter.kind === 'account' || before === 0 ? after(now, MEMORY_MS) : forgetAt,
  };
}
