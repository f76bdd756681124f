// How much processor time and memory a process has taken, with all that it has started, as Linux tells it in /proc.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

interface Stat {
  pid: number;
  parent: number;
  ticks: number;
}

let ticksPerSecond: number | undefined;

/** Its own time, and that of the children that have ended (proc_pid_stat(5), fields 4 and 14 to 17). */
function readStat(pid: number): Stat | undefined {
  try {
    // The name, in parentheses, may itself contain spaces and parentheses; the fields after it are of fixed order.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = [11, 12, 13, 14].reduce((total, index) => total + Number(fields[index]), 0);
    return { pid, parent: Number(fields[1]), ticks };
  } catch {
    // It has ended since its number was read.
    return undefined;
  }
}

/**
 * Processor seconds that each process has taken so far, with its children.
 * @param roots process ids by name
 */
export function processorSeconds(roots: ReadonlyMap<string, number>): Map<string, number> {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  const children = new Map<number, Stat[]>();
  const byPid = new Map<number, Stat>();
  for (const entry of readdirSync('/proc')) {
    const stat = /^\d+$/.test(entry) ? readStat(Number(entry)) : undefined;
    if (stat === undefined) continue;
    byPid.set(stat.pid, stat);
    children.set(stat.parent, [...(children.get(stat.parent) ?? []), stat]);
  }
  const ticksOf = (stat: Stat): number =>
    (children.get(stat.pid) ?? []).reduce((total, child) => total + ticksOf(child), stat.ticks);
  const seconds = new Map<string, number>();
  for (const [name, pid] of roots) {
    const root = byPid.get(pid);
    if (root !== undefined) seconds.set(name, ticksOf(root) / ticksPerSecond);
  }
  return seconds;
}

/** Of this process, without its children. */
export function ownProcessorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** What the process alone keeps in memory, in MB of 10⁶ bytes (VmRSS). */
export function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return (kib * 1024) / 1e6;
}
