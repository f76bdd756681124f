// Where a measurement starts its processes and keeps its files; closing it leaves none of either.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { killAll } from '@glasshouse/local/clear-away';
import { type Platform, startPlatform } from '@glasshouse/local/platform';
import { createProcessTable, type Log, type ProcessTable } from '@glasshouse/local/processes';
import { removePostgres } from '@glasshouse/local/servers';

export interface Workshop {
  dir: string;
  /** Where downloaded servers are kept, between runs too. */
  cacheDir: string;
  /** For what is started beside a platform. */
  processes: ProcessTable;
  log: Log;
  /** Starts a platform in a folder of this name, as `npm start` does: whatever has been confirmed is on the disk. */
  startPlatform(options: { name: string; portOffset: number; env?: NodeJS.ProcessEnv }): Promise<Platform>;
  close(): Promise<void>;
}

/** What a process is given of this one's environment. */
export function inherited(): NodeJS.ProcessEnv {
  const { PATH = '', HOME = '', LOG_LEVEL = 'warn' } = process.env;
  return { PATH, HOME, LOG_LEVEL };
}

/** The ports of a second platform beside the first, from the first one's on. */
export const SECOND_PLATFORM = 400;

export function openWorkshop(cacheDir: string, log: Log): Workshop {
  mkdirSync(cacheDir, { recursive: true });
  // On the disk that `npm start` uses: in memory a commit would cost nothing.
  const dir = mkdtempSync(join(resolve(cacheDir), 'bench-'));
  const processes = createProcessTable(join(dir, 'state.json'));
  const platforms: { folder: string; table: ProcessTable; started: Promise<Platform> }[] = [];
  const closing = new AbortController();
  let closed: Promise<void> | undefined;

  const close = async () => {
    closing.abort();
    await processes.stopAll(['service']);
    await Promise.allSettled(
      platforms.map(async ({ folder, table, started }) => {
        const platform = await started.catch(() => undefined);
        await table.stopAll(['service']);
        await killAll(table);
        await platform?.stop();
        removePostgres(join(folder, 'postgres'));
      }),
    );
    await processes.stopAll();
    rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
  };

  return {
    dir,
    cacheDir,
    processes,
    log,
    startPlatform({ name, portOffset, env = {} }) {
      const folder = join(dir, name);
      mkdirSync(folder);
      const table = createProcessTable(join(folder, 'state.json'));
      const started = startPlatform({
        dir: folder,
        cacheDir,
        portOffset,
        env: {
          ...inherited(),
          RATE_LIMIT_PER_MINUTE: '1000000000',
          AUTH_RATE_LIMIT_PER_MINUTE: '1000000000',
          ACCESS_TOKEN_TTL_S: '86400',
          ...env,
        },
        log(line) {
          if (!closing.signal.aborted) log(line);
        },
        processes: table,
        restart: false,
        signal: closing.signal,
      });
      platforms.push({ folder, table, started });
      return started;
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}
