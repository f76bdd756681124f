// Runs the stand-in as a process of its own: node main.ts --dir <folder> [--port <port>] [--transaction-lifetime <seconds>] [--ttl-sweep <seconds>].
import { parseArgs } from 'node:util';
import { startMongoStandin } from './index.ts';

const { values } = parseArgs({
  options: {
    dir: { type: 'string' },
    port: { type: 'string', default: '0' },
    'transaction-lifetime': { type: 'string', default: '5' },
    'ttl-sweep': { type: 'string', default: '60' },
  },
});
if (!values.dir) throw new Error('--dir is missing');

const standin = await startMongoStandin({
  dir: values.dir,
  port: Number(values.port),
  transactionLifetimeLimitSeconds: Number(values['transaction-lifetime']),
  ttlSweepSeconds: Number(values['ttl-sweep']),
});
console.log(`mongo-standin: ready at ${standin.url}`);

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void standin.stop());
