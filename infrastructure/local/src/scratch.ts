// Where a test run keeps its servers' data: in memory where there is room, because waiting for a disk takes most of a test's time.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const MEMORY_FOLDER = '/dev/shm';
/** Four platforms at once, with a broker's log and a database each, and two copies of the repository. */
const NEEDED_BYTES = 6 * 1024 ** 3;

/** What is kept has to outlive processes that are killed, not the machine. @returns `otherwise` where memory can't be had */
export function scratchFolder(otherwise: string): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER);
    const hasRoom = Math.min(bavail * bsize, process.availableMemory()) >= NEEDED_BYTES;
    return hasRoom && runsPrograms(MEMORY_FOLDER) ? MEMORY_FOLDER : otherwise;
  } catch {
    return otherwise;
  }
}

/** Containers often may not start programs there. */
function runsPrograms(folder: string): boolean {
  const trial = mkdtempSync(join(folder, 'glasshouse-trial-'));
  try {
    writeFileSync(join(trial, 'program'), '#!/bin/sh\n', { mode: 0o700 });
    return spawnSync(join(trial, 'program')).status === 0;
  } finally {
    rmSync(trial, { recursive: true });
  }
}
