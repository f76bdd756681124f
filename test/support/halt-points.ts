// A point at which a service is to halt, from both ends: a test arms it, and the process that comes there takes it. It is a file, so that it
// outlives the process; taking it is a rename, so that one process halts there, once, however many copies come by.
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Between which two steps of the code. */
export type Step =
  | 'commit and publish'
  | 'publish and mark'
  | 'commit and ack'
  | 'claim and call'
  | 'call and record'
  | 'move and commit';

export interface HaltPoint {
  service: string;
  between: Step;
  /** The event, what is called for, or what the stock becomes. */
  what: string;
  /** The x-request-id with which it all began: the platform carries it along through everything that follows. */
  requestId: string;
}

const nameOf = ({ service, between, what, requestId }: HaltPoint) => [service, between, what, requestId].join(', ');

/** For a test: a folder for its points. */
export function createHalts() {
  const dir = mkdtempSync(join(tmpdir(), 'glasshouse-halts-'));
  const fileOf = (point: HaltPoint) => join(dir, nameOf(point));
  return {
    /** For the platform whose services are to halt. */
    env: { HALT_DIR: dir, NODE_OPTIONS: `--import=${new URL('halt.ts', import.meta.url)}` },
    /** @param signal what the process sends itself there: SIGKILL ends it, SIGSTOP lets it wait for SIGCONT */
    arm: (point: HaltPoint, signal: 'SIGKILL' | 'SIGSTOP') => writeFileSync(fileOf(point), signal),
    disarm: (point: HaltPoint) => rmSync(fileOf(point), { force: true }),
    /** The number of the process that has halted there, once one has. */
    haltedAt(point: HaltPoint): number | undefined {
      const prefix = `${nameOf(point)}, `;
      const taken = readdirSync(dir).find((name) => name.startsWith(prefix));
      return taken === undefined ? undefined : Number(taken.slice(prefix.length));
    },
    forget: () => rmSync(dir, { recursive: true, force: true }),
  };
}

export type Halts = ReturnType<typeof createHalts>;

/** For a process that has come to this point: where it is armed, nothing runs after this call until SIGCONT, if ever. */
export function reach(dir: string, point: HaltPoint): void {
  const armed = join(dir, nameOf(point));
  if (!existsSync(armed)) return;
  const taken = `${armed}, ${process.pid}`;
  try {
    renameSync(armed, taken);
  } catch {
    return; // Another copy was faster.
  }
  process.kill(process.pid, readFileSync(taken, 'utf8') as NodeJS.Signals);
}
