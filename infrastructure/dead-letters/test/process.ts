// Runs the tool as people do: as a process of its own.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

const MAIN = new URL('../src/main.ts', import.meta.url).pathname;

/** @param env nothing else is inherited but the PATH and the folder of compiled code */
export function spawnDeadLetters(
  env: Record<string, string>,
  args: string[],
): ChildProcessByStdio<null, Readable, Readable> {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  return spawn(process.execPath, [MAIN, ...args], {
    env: { PATH, ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export async function runDeadLetters(
  env: Record<string, string>,
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawnDeadLetters(env, args);
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}
