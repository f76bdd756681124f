// Runs the auditor as people do: as a process of its own.
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

const MAIN = new URL('../src/main.ts', import.meta.url).pathname;

/** @param env nothing is inherited but the PATH */
export async function runAuditor(
  env: Record<string, string>,
  args: string[] = [],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}
