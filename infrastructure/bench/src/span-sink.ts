// Starts the receiver of traces that keeps none.
import { join } from 'node:path';
import { waitUntilUp } from '@glasshouse/local/processes';
import { accepts, onFreePort } from '@glasshouse/local/servers';
import type { Workshop } from './workshop.ts';

/** @returns its base URL, for OTEL_EXPORTER_OTLP_ENDPOINT */
export function startSpanSink({ processes, dir }: Workshop): Promise<string> {
  return onFreePort(undefined, async (port) => {
    const logFile = join(dir, 'span-sink.log');
    const child = await processes.start({
      name: 'span-sink',
      stage: 'helper',
      command: process.execPath,
      args: [join(import.meta.dirname, 'span-sink-main.ts'), String(port)],
      logFile,
      port,
    });
    await waitUntilUp(child, logFile, () => accepts(port));
    return `http://127.0.0.1:${port}`;
  });
}
