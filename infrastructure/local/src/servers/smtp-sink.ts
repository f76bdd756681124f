// Runs the mail server of the demo: it takes every mail and keeps it in a folder instead of sending it on.
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createProcessTable, type Log, type ManagedProcess, type ProcessTable, waitUntilUp } from '../processes.ts';
import { accepts, onFreePort } from './ports.ts';

export type SmtpSink = {
  /** `smtp://127.0.0.1:<port>`, no login, no encryption. */
  url: string;
  port: number;
  pid: number;
  process: ManagedProcess;
  stop(): Promise<void>;
};

const MAIN = fileURLToPath(new URL('./smtp-sink-main.ts', import.meta.url));

/** Starts the sink as its own process; the mails lie in `dir`, to be read with `readMailbox`. */
export async function startSmtpSink(options: {
  dir: string;
  /** Default: a free one. */
  port?: number;
  log: Log;
  processes?: ProcessTable;
  logFile?: string;
}): Promise<SmtpSink> {
  const { processes = createProcessTable() } = options;
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true });
  const logFile = options.logFile ?? join(dir, 'smtp-sink.log');
  return onFreePort(options.port, async (port) => {
    const child = await processes.start({
      name: 'mail-server',
      stage: 'provider',
      command: process.execPath,
      args: [MAIN, '--dir', dir, '--port', String(port)],
      logFile,
      port,
    });
    await waitUntilUp(child, logFile, () => accepts(port));
    return { url: `smtp://127.0.0.1:${port}`, port, pid: child.pid, process: child, stop: () => child.stop() };
  });
}
