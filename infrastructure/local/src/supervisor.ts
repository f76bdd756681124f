// Starts processes again that end by themselves, and lets each be taken away and given back on purpose.
import { setTimeout as delay } from 'node:timers/promises';
import type { Log, ManagedProcess, ProcessTable } from './processes.ts';

const LONGEST_RESTART_PAUSE_MS = 30_000;
/** A process that has run for this long before it ended is started again without a longer pause. */
const STEADY_AFTER_MS = 60_000;

/** A process that can be ended and started again. It keeps its port. */
export interface SupervisedProcess {
  name: string;
  pid(): number | undefined;
  /** Asks it to end; returns when it is gone. It stays gone until `start`. */
  stop(): Promise<void>;
  /** SIGKILL; returns when it is gone. It stays gone until `start`. */
  kill(): Promise<void>;
  /** Starts it again; returns when it is ready. */
  start(): Promise<void>;
}

export type Running = Pick<ManagedProcess, 'pid' | 'running' | 'exited' | 'stop' | 'kill'>;

/** What the functions that start a server return, as far as it matters here. */
interface Server {
  process: ManagedProcess;
  stop(): Promise<void>;
  kill?(): Promise<void>;
}

export interface Supervisor {
  processes: Map<string, SupervisedProcess>;
  /**
   * @param launch starts the process, under this name in the table, and returns when it is ready
   * @param restarts whether it is started again when it ends by itself. Default: the supervisor's
   */
  supervise(name: string, launch: () => Promise<Running>, restarts?: boolean): Promise<void>;
  /** @param launch is given the server as it was before, whose ports it takes again */
  superviseServer<T extends Server>(
    name: string,
    launch: (before: T | undefined) => Promise<T>,
    restarts?: boolean,
  ): Promise<T>;
  /** Ends everything: services first, then what they call and write to. */
  stop(): Promise<void>;
  isStopping(): boolean;
}

/**
 * @param restart whether a process that ends by itself is started again
 * @param firstPauseMs how long it then stays away at first; twice as long each time, up to 30 s
 */
export function createSupervisor(options: {
  table: ProcessTable;
  log: Log;
  restart: boolean;
  firstPauseMs?: number;
}): Supervisor {
  const { table, log, restart, firstPauseMs = 1_000 } = options;
  const processes = new Map<string, SupervisedProcess>();
  let stopped: Promise<void> | undefined;

  async function supervise(name: string, launch: () => Promise<Running>, restarts = restart): Promise<void> {
    let child: Running | undefined;
    let isWanted = false;
    let pauseMs = firstPauseMs;

    async function start(): Promise<void> {
      isWanted = true;
      const started = await launch();
      child = started;
      if (!isWanted) return started.stop();
      const startedAt = performance.now();
      void started.exited.then(({ code, signal }) => {
        if (!isWanted || stopped !== undefined || child !== started) return;
        const how = `${name} ended by itself (${signal ?? `exit code ${code}`})`;
        if (!restarts) return log(`${how} and stays away`);
        log(`${how}; it is started again`);
        if (performance.now() - startedAt > STEADY_AFTER_MS) pauseMs = firstPauseMs;
        void startAgain();
      });
    }

    async function startAgain(): Promise<void> {
      for (;;) {
        await delay(pauseMs, undefined, { ref: false });
        pauseMs = Math.min(LONGEST_RESTART_PAUSE_MS, pauseMs * 2);
        if (!isWanted || stopped !== undefined) return;
        try {
          return await start();
        } catch (error) {
          if (isWanted && stopped === undefined)
            log(`${name} can't be started: ${(error as Error).message.split('\n').at(-1)}`);
        }
      }
    }

    async function end(how: 'stop' | 'kill'): Promise<void> {
      isWanted = false;
      const known = child;
      // What is not ready yet is only in the table.
      const others = table.running().filter((other) => other.name === name && other.pid !== known?.pid);
      await Promise.all([known, ...others].map((running) => running?.[how]()));
    }

    processes.set(name, {
      name,
      pid: () => (child?.running() ? child.pid : undefined),
      stop: () => end('stop'),
      kill: () => end('kill'),
      start,
    });
    await start();
  }

  async function superviseServer<T extends Server>(
    name: string,
    launch: (before: T | undefined) => Promise<T>,
    restarts = restart,
  ): Promise<T> {
    let server: T | undefined;
    const launchServer = async () => {
      const started = await launch(server);
      server = started;
      return { ...started.process, stop: () => started.stop(), kill: () => (started.kill ?? started.process.kill)() };
    };
    await supervise(name, launchServer, restarts);
    if (server === undefined) throw new Error(`${name} was not started.`);
    return server;
  }

  function stop(): Promise<void> {
    stopped ??= (async () => {
      await table.stopAll(['service', 'provider']);
      // Servers know best how they end; what was only half started is ended by the table.
      await Promise.allSettled([...processes.values()].map((process) => process.stop()));
      await table.stopAll();
    })();
    return stopped;
  }

  return { processes, supervise, superviseServer, stop, isStopping: () => stopped !== undefined };
}
