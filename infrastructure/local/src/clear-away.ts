// What a test run leaves behind: platforms whose tests were ended before they could stop them, and their folders.
import { globSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gone, isRunning, type ProcessTable, readState, send, stopRecorded } from './processes.ts';
import { removePostgres } from './servers/index.ts';

const OWNER_GONE_WITHIN_MS = 5_000;

/** Ends what runs in `folder` or was started by a test in it, and drops it. */
export async function clearAway(folder: string): Promise<void> {
  // `**` looks into no folder whose name begins with a dot, and a platform that was started as people do it is in one.
  for (const file of globSync('**/{,.local/}state.json', { cwd: folder })) {
    // First a runner that is not of this run: it would start again what has ended.
    const owner = readState(join(folder, file))?.owner;
    if (owner !== undefined && owner.pid !== process.pid && isRunning(owner)) {
      send(owner.pid, 'SIGKILL');
      await gone(owner, OWNER_GONE_WITHIN_MS);
    }
    const state = readState(join(folder, file));
    if (state !== undefined) await stopRecorded(state, 0);
    removePostgres(join(folder, dirname(file), 'postgres'));
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** Kills what has written nothing that anybody wants to keep; the broker alone would take 6 s to stop. `stopAll` ends the rest. */
export async function killAll(table: ProcessTable): Promise<void> {
  // PostgreSQL gives the machine's shared memory back only where it is asked to stop.
  const killed = table.running().filter(({ name }) => name !== 'postgres');
  await Promise.allSettled(killed.map((one) => one.kill()));
}
