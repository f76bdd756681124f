// `npm start`, `npm stop`, `npm run status`, `npm run reset` and `npm run mail`.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readSync, rmSync, statSync, watch } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readMailbox } from './mailbox.ts';
import { type Platform, startPlatform } from './platform.ts';
import { gone, isRunning, readState, stopRecorded } from './processes.ts';
import { removePostgres, takenPortsLine } from './servers/index.ts';
import { platformPorts, services } from './services.ts';

const root = resolve(import.meta.dirname, '../../..');
const dir = join(root, '.local');
const stateFile = join(dir, 'state.json');
/** Downloads and compiled code are kept over a reset. */
const caches = new Set(['rabbitmq-dist', 'mongodb-binaries', 'compile-cache']);
const STOP_LIMIT_MS = 60_000;

class UsageError extends Error {}

const say = (line: string) => {
  // In the background the lines go to whoever started us; a terminal that has been closed is no reason to end.
  if (process.send !== undefined && process.connected) process.send({ line });
  else console.log(line);
};

function isStarted(): boolean {
  const state = readState(stateFile);
  return state !== undefined && (isRunning(state.owner) || state.processes.some(isRunning));
}

function banner(platform: Platform, seconds: number): string {
  const order =
    '{"items":[{"productId":"\'$PRODUCT\'","quantity":1}],"paymentMethod":"pm_card_visa","shippingAddress":{"name":"Alice","line1":"1 Main Street","city":"Springfield","postalCode":"12345","country":"US"}}';
  const json = `node -pe 'JSON.parse(fs.readFileSync(0))`;
  const url = platform.gatewayUrl.replace('127.0.0.1', 'localhost');
  const mongo = platform.servers.mongo?.kind ?? 'yours (MONGO_URL)';
  return `
Glasshouse is ready after ${seconds.toFixed(1)} s.

  Gateway              ${url}
${Object.entries(platform.urls)
  .filter(([name]) => name !== 'api-gateway')
  .map(([name, copies]) => `  ${name.padEnd(20)} ${copies.join(' ').replaceAll('127.0.0.1', 'localhost')}`)
  .join('\n')}
  MongoDB              ${mongo}
  Mail                 npm run mail
  Logs                 .local/logs
  Demo accounts        admin@example.com / admin-password, alice@example.com / alice-password

Try it:

TOKEN=$(curl -s ${url}/api/v1/auth/login -H 'content-type: application/json' -d '{"email":"alice@example.com","password":"alice-password"}' | ${json}.accessToken')
PRODUCT=$(curl -s '${url}/api/v1/products?limit=1' | ${json}.items[0].id')
curl -s ${url}/api/v1/orders -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' -H "idempotency-key: $(date +%s%N)" -d '${order}'
`;
}

/** Prints what is appended to the services' logs, each line with its name before it. */
function followLogs(folder: string): void {
  const isService = (file: string) => services.some(({ name }) => new RegExp(`^${name}(-\\d+)?\\.log$`).test(file));
  const places = new Map<string, number>();
  const readOn = (file: string) => {
    const path = join(folder, file);
    const size = existsSync(path) ? statSync(path).size : 0;
    const from = places.get(file) ?? 0;
    if (size <= from) return;
    const buffer = Buffer.alloc(size - from);
    const handle = openSync(path, 'r');
    readSync(handle, buffer, 0, buffer.length, from);
    closeSync(handle);
    // Whole lines only; the rest comes with what follows it.
    const end = buffer.lastIndexOf('\n') + 1;
    places.set(file, from + end);
    for (const line of buffer.toString('utf8', 0, end).split('\n').slice(0, -1))
      console.log(`${file.replace('.log', '').padEnd(22)} ${line}`);
  };
  for (const file of readdirSync(folder)) places.set(file, statSync(join(folder, file)).size);
  watch(folder, (_event, file) => {
    if (file !== null && isService(file)) readOn(file);
  });
}

async function start(options: { replicas: number; detach: boolean; background: boolean }): Promise<void> {
  const { replicas, detach, background } = options;
  if (isStarted())
    throw new UsageError('The platform is running already: `npm run status` shows it, `npm stop` ends it.');
  const taken = await takenPortsLine(platformPorts(replicas));
  if (taken !== undefined) throw new UsageError(taken);
  // For ourselves in the background and for every child; code that is compiled already starts in a third of the time.
  process.env.NODE_COMPILE_CACHE ??= join(dir, 'compile-cache');
  if (detach) return startInBackground(replicas);

  const startedAt = performance.now();
  const starting = new AbortController();
  let platform: Platform | undefined;
  const stopAndEnd = async (code: number) => {
    starting.abort();
    await platform?.stop();
    if (platform === undefined) return;
    rmSync(stateFile, { force: true });
    say('Everything has stopped.');
    process.exit(code);
  };
  let isStopping = false;
  const stopOnce = (code: number) => {
    if (isStopping) return;
    isStopping = true;
    say('Stopping …');
    void stopAndEnd(code);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopOnce(0));
  process.on('uncaughtException', (error) => {
    say(`The runner has failed: ${error.stack}`);
    stopOnce(1);
  });
  try {
    platform = await startPlatform({ dir, replicas, log: say, signal: starting.signal });
  } catch (error) {
    // Nothing runs any more.
    rmSync(stateFile, { force: true });
    throw error;
  }
  say(banner(platform, (performance.now() - startedAt) / 1000));
  if (!background) return followLogs(join(dir, 'logs'));
  process.send?.({ ready: true });
}

/** The same, as a process of its own that outlives us; its lines are printed here until it is ready. */
async function startInBackground(replicas: number): Promise<void> {
  mkdirSync(join(dir, 'logs'), { recursive: true, mode: 0o700 });
  const log = openSync(join(dir, 'logs', 'runner.log'), 'a');
  const child = spawn(
    process.execPath,
    [import.meta.filename, 'start', '--background', '--replicas', String(replicas)],
    {
      cwd: root,
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    },
  );
  const code = await new Promise<number>((done) => {
    child.on('message', (message: { line?: string; ready?: boolean; failed?: boolean }) => {
      if (message.line !== undefined) console.log(message.line);
      if (message.ready) done(0);
    });
    child.on('exit', () => done(1));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill('SIGTERM'));
  });
  if (child.connected) child.disconnect();
  child.unref();
  process.exit(code);
}

async function stop(): Promise<void> {
  const state = readState(stateFile);
  if (state === undefined || !isStarted()) {
    console.log('Nothing is running.');
    return;
  }
  if (isRunning(state.owner)) {
    process.kill(state.owner.pid, 'SIGTERM');
    if (!(await gone(state.owner, STOP_LIMIT_MS))) {
      console.log('The runner does not end; it is killed.');
      process.kill(state.owner.pid, 'SIGKILL');
    }
  }
  // What a runner that was killed has left.
  await stopRecorded(readState(stateFile) ?? state);
  rmSync(stateFile, { force: true });
  console.log('Everything has stopped.');
}

async function status(): Promise<void> {
  const state = readState(stateFile);
  if (state === undefined || !isStarted()) {
    console.log('Nothing is running. `npm start` starts the platform.');
    process.exitCode = 1;
    return;
  }
  for (const record of state.processes) {
    const { name, pid, port, stage } = record;
    const isUp = isRunning(record);
    let readiness = '';
    if (isUp && stage === 'service' && port !== undefined) {
      const response = await fetch(`http://127.0.0.1:${port}/ready`, { signal: AbortSignal.timeout(2_000) }).catch(
        () => undefined,
      );
      readiness = response?.ok ? 'ready' : 'not ready';
    }
    if (!isUp || readiness === 'not ready') process.exitCode = 1;
    console.log(
      `${name.padEnd(24)} ${(isUp ? 'up' : 'down').padEnd(5)} pid ${String(pid).padEnd(8)} ${`port ${port ?? '–'}`.padEnd(11)} ${readiness}`,
    );
  }
}

function reset(): void {
  if (isStarted()) throw new UsageError('The platform is running: `npm stop` first.');
  if (!existsSync(dir)) return;
  removePostgres(join(dir, 'postgres'));
  for (const entry of readdirSync(dir)) {
    const folder = join(dir, entry);
    const owner = readState(join(folder, 'state.json'))?.owner;
    // Tests may be running in a folder beside.
    const isInUse = owner !== undefined && isRunning(owner);
    if (!caches.has(entry) && !isInUse) rmSync(folder, { recursive: true, force: true });
  }
  console.log('All data is dropped.');
}

async function mail(json: boolean, which: string | undefined): Promise<void> {
  const mails = await readMailbox(join(dir, 'mail'));
  if (json) return console.log(JSON.stringify(mails, null, 2));
  if (which === undefined) {
    if (mails.length === 0) console.log('No mail yet.');
    for (const [index, { time, to, subject }] of mails.entries())
      console.log(`${String(index + 1).padStart(4)}  ${time}  ${to.join(', ')}  ${subject}`);
    return;
  }
  const found = mails[Number(which) - 1];
  if (found === undefined) throw new UsageError(`There is no mail ${which}: there are ${mails.length}.`);
  console.log(
    `Time:       ${found.time}\nTo:         ${found.to.join(', ')}\nSubject:    ${found.subject}\nMessage-ID: ${found.messageId}\n\n${found.text}`,
  );
}

async function main(): Promise<void> {
  const [command = '', ...rest] = process.argv.slice(2);
  const { values, positionals } = readArguments(rest);
  const unknown = positionals[command === 'mail' ? 1 : 0];
  if (unknown !== undefined) throw new UsageError(`Unknown argument: ${unknown}`);
  const replicas = Number(values.replicas);
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 9)
    throw new UsageError('--replicas is a number from 1 to 9.');
  switch (command) {
    case 'start':
      return start({ replicas, detach: values.detach, background: values.background });
    case 'stop':
      return stop();
    case 'status':
      return status();
    case 'reset':
      return reset();
    case 'mail':
      return mail(values.json, positionals[0]);
    default:
      throw new UsageError('The commands are start, stop, status, reset and mail.');
  }
}

function readArguments(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        detach: { type: 'boolean', default: false },
        /** Says ready to the process that started us. */
        background: { type: 'boolean', default: false },
        replicas: { type: 'string', default: '1' },
        json: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
}

// Whoever reads our output may go away before us.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

try {
  await main();
} catch (error) {
  const { message } = error as Error;
  if (process.send !== undefined && process.connected)
    await new Promise((sent) => process.send?.({ line: message }, undefined, {}, sent));
  else console.error(message);
  process.exit(1);
}
