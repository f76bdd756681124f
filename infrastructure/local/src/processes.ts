// Starts child processes and writes each one down, so that whoever comes later ends exactly these and no other.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Takes one line for people to read. */
export type Log = (line: string) => void;

/**
 * The order in which processes end: services before what they call (`provider`: payment, mail), then the servers that
 * hold their data, then what those need.
 */
const STAGES = ['service', 'provider', 'server', 'helper'] as const;
export type Stage = (typeof STAGES)[number];

/** What survives of a process in the state file: enough to end it, and only it, after its starter died. */
export type ProcessRecord = {
  name: string;
  pid: number;
  /** See `identityOf`. */
  identity: string;
  stage: Stage;
  stopSignal: NodeJS.Signals;
  port?: number;
};

/** How long a process may take to end after it was asked to. */
const STOP_GRACE_MS = 20_000;

export type ProcessExit = { code: number | null; signal: NodeJS.Signals | null };

export type ManagedProcess = {
  name: string;
  pid: number;
  running(): boolean;
  /** Resolves when the process has ended, however that came about. */
  exited: Promise<ProcessExit>;
  /** Asks the process to end, waits `graceMs` milliseconds and then kills it. Returns when it is gone. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL to the process and its children; returns when it is gone. */
  kill(): Promise<void>;
};

export type StartOptions = {
  name: string;
  command: string;
  args?: string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Output is appended here by the process itself: it goes on when we die. */
  logFile: string;
  stage: Stage;
  stopSignal?: NodeJS.Signals;
  port?: number;
  uid?: number;
  gid?: number;
};

/** The processes of one starter, kept in a file where one is given. */
export type ProcessTable = {
  /** @throws when the program cannot be run, or after `stopAll` */
  start(options: StartOptions): Promise<ManagedProcess>;
  running(): ManagedProcess[];
  /** Ends all of these stages, one stage after the other, all stages where none are named. Nothing is started after it. */
  stopAll(stages?: readonly Stage[]): Promise<void>;
};

/** The content of a state file: its owner and the processes that it started. */
export type State = { owner: { pid: number; identity: string }; processes: ProcessRecord[] };

/**
 * What tells this process from a later one with the same number: boot and start time. Undefined when no process with
 * this number runs (one that has ended and waits for its parent counts as gone).
 */
export function identityOf(pid: number): string | undefined {
  return process.platform === 'linux' ? identityFromProc(pid) : identityFromPs(pid);
}

function identityFromProc(pid: number): string | undefined {
  try {
    // The name, in parentheses, may itself contain spaces and parentheses; the fields after it are of fixed order.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTicks] = [fields[0], fields[19]];
    if (state === 'Z' || state === 'X') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${startTicks}`;
  } catch {
    return undefined;
  }
}

function identityFromPs(pid: number): string | undefined {
  try {
    const [state = '', ...started] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      encoding: 'utf8',
    })
      .trim()
      .split(/\s+/);
    return state === '' || state.startsWith('Z') ? undefined : started.join(' ');
  } catch {
    return undefined;
  }
}

/** Whether the very process that was written down is still running. */
export function isRunning(record: { pid: number; identity: string }): boolean {
  return identityOf(record.pid) === record.identity;
}

/** Reads a state file; undefined where there is none. */
export function readState(file: string): State | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as State;
  } catch {
    return undefined;
  }
}

/** A table of processes; with `stateFile`, one that `stopRecorded` can end later from another process. */
export function createProcessTable(stateFile?: string): ProcessTable {
  const running = new Map<ManagedProcess, Stage>();
  // Also those that ended by themselves: `status` shows that they are missing.
  const records = new Map<number, ProcessRecord>();
  let isClosed = false;

  function save(): void {
    if (stateFile === undefined) return;
    const owner = { pid: process.pid, identity: identityOf(process.pid) ?? '' };
    const state: State = { owner, processes: [...records.values()] };
    mkdirSync(dirname(stateFile), { recursive: true });
    writeFileSync(`${stateFile}.new`, JSON.stringify(state, null, 2), { mode: 0o600 });
    renameSync(`${stateFile}.new`, stateFile);
  }
  save();

  async function start(options: StartOptions): Promise<ManagedProcess> {
    const { name, command, args = [], env = process.env, cwd, uid, gid, stage, stopSignal = 'SIGTERM' } = options;
    if (isClosed) throw new Error(`${name} is not started: everything is being stopped.`);
    mkdirSync(dirname(options.logFile), { recursive: true });
    const output = openSync(options.logFile, 'a');
    // A process group of its own: Ctrl-C in the terminal reaches us alone, and we end the others in order.
    const child = spawn(command, args, {
      env,
      stdio: ['ignore', output, output],
      detached: true,
      ...(cwd === undefined ? {} : { cwd }),
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    closeSync(output);
    const { pid } = child;
    if (pid === undefined) {
      const [error] = (await once(child, 'error')) as [Error];
      throw new Error(`${name} could not be started: ${error.message}`);
    }
    let isEnding = false;
    const exited = new Promise<ProcessExit>((resolve) => {
      child.once('exit', (code, signal) => {
        running.delete(managed);
        if (isEnding || code === 0) records.delete(pid);
        save();
        resolve({ code, signal });
      });
    });
    const isUp = () => child.exitCode === null && child.signalCode === null;
    async function kill(): Promise<void> {
      isEnding = true;
      if (isUp()) signalGroup(pid, 'SIGKILL');
      await exited;
    }
    const managed: ManagedProcess = {
      name,
      pid,
      running: isUp,
      exited,
      kill,
      async stop(graceMs = STOP_GRACE_MS) {
        // Asked once: a service takes a second signal for an order to end at once.
        if (isUp() && !isEnding) child.kill(stopSignal);
        isEnding = true;
        const ended = await Promise.race([exited.then(() => true), sleep(graceMs, false, { ref: false })]);
        if (!ended) await kill();
      },
    };
    running.set(managed, stage);
    const port = options.port === undefined ? {} : { port: options.port };
    for (const record of records.values()) if (record.name === name && !isRunning(record)) records.delete(record.pid);
    records.set(pid, { name, pid, identity: identityOf(pid) ?? '', stage, stopSignal, ...port });
    save();
    return managed;
  }

  async function stopAll(stages: readonly Stage[] = STAGES): Promise<void> {
    isClosed = true;
    for (const stage of STAGES.filter((one) => stages.includes(one))) {
      const members = [...running].filter(([, theirs]) => theirs === stage);
      await Promise.all(members.map(([member]) => member.stop()));
    }
  }

  return { start, stopAll, running: () => [...running.keys()] };
}

/**
 * Ends what a dead starter left behind, in the order of the stages, each only if it is still the process that was written down.
 * Returns the names of those that were running.
 */
export async function stopRecorded(state: State, graceMs = STOP_GRACE_MS): Promise<string[]> {
  const left = state.processes.filter(isRunning);
  for (const stage of STAGES) {
    await Promise.all(left.filter((record) => record.stage === stage).map((record) => stopRecord(record, graceMs)));
  }
  return left.map(({ name }) => name);
}

async function stopRecord(record: ProcessRecord, graceMs: number): Promise<void> {
  if (isRunning(record)) send(record.pid, record.stopSignal);
  if (await gone(record, graceMs)) return;
  signalGroup(record.pid, 'SIGKILL');
  if (!(await gone(record, 5_000))) throw new Error(`${record.name} (pid ${record.pid}) cannot be ended.`);
}

/** Waits up to `limitMs` milliseconds for a process that is not our child to end. */
export async function gone(record: { pid: number; identity: string }, limitMs: number): Promise<boolean> {
  const limit = Date.now() + limitMs;
  while (isRunning(record)) {
    if (Date.now() > limit) return false;
    await sleep(50);
  }
  return true;
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid !== undefined) send(-pid, signal);
}

/** Who has ended meanwhile needs no signal. */
export function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The last lines of a log file, to say why a process ended. */
export function lastLines(file: string, count = 20): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '';
  }
}

/** Repeats `probe` until it returns true; throws when the process ends before that or after `limitMs` milliseconds. */
export async function waitUntilUp(
  child: ManagedProcess,
  logFile: string,
  probe: () => Promise<boolean>,
  limitMs = 60_000,
): Promise<void> {
  const limit = Date.now() + limitMs;
  for (;;) {
    const isUp = await probe();
    // The process first: somebody else may have its port and answer the probe.
    if (!child.running()) throw new Error(`${child.name} ended while starting:\n${lastLines(logFile)}`);
    if (isUp) return;
    if (Date.now() > limit) {
      await child.kill();
      throw new Error(`${child.name} was not ready after ${limitMs / 1000} s:\n${lastLines(logFile)}`);
    }
    await sleep(100);
  }
}
