// `npm start`, `npm run dev`, `npm stop`, `npm run status`, `npm run logs`, `npm run reset`, `npm run mail` and `npm run keys`.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, parseEnv, styleText } from 'node:util';
import { createRestarter, type Restarter, watchCode } from './dev.ts';
import { type LogReader, logNames, openLogs } from './log-files.ts';
import { createLogPrinter, type Style } from './log-lines.ts';
import { readMailbox } from './mailbox.ts';
import { type Platform, startPlatform } from './platform.ts';
import { gone, isRunning, readState, stopRecorded } from './processes.ts';
import { removePostgres, takenPortsLine } from './servers/index.ts';
import { platformPorts, services } from './services.ts';

const root = resolve(import.meta.dirname, '../../..');
const dir = join(root, '.local');
const logsDir = join(dir, 'logs');
const stateFile = join(dir, 'state.json');
/** Downloads and compiled code are kept over a reset. */
const caches = new Set(['rabbitmq-dist', 'mongodb-binaries', 'compile-cache']);
const STOP_LIMIT_MS = 60_000;
const LOGS_INTERVAL_MS = 100;
const isRaw = process.env.LOG_FORMAT === 'json';

class UsageError extends Error {}

const say = (line: string) => {
  // In the background the lines go to whoever started us; a terminal that has been closed is no reason to end.
  if (process.send !== undefined && process.connected) process.send({ line });
  else tell(line);
};

/** Beside raw log lines, which a program reads, `jq` say, nothing else may stand. */
const tell = (line: string) => (isRaw ? console.error(line) : console.log(line));

/** For a terminal, unless NO_COLOR or FORCE_COLOR say otherwise. */
const isColoured = styleText('red', '-') !== '-';
const style: Style = (format, text) => (isColoured ? styleText(format, text, { validateStream: false }) : text);
const printLogs = createLogPrinter({ isRaw, style, out: console.log, err: console.error });

/** Those that run our own code, and the mail server: all that is shown unless others are asked for. */
const isOurs = (log: string) =>
  /^(payment-simulator|mail-server)$/.test(log) ||
  services.some(({ name }) => log.startsWith(name) && /^(-\d+|-migrate)?$/.test(log.slice(name.length)));

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

async function start(options: {
  replicas: number;
  detach: boolean;
  background: boolean;
  restartsOnChange: boolean;
}): Promise<void> {
  const { replicas, detach, background, restartsOnChange } = options;
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
  let logs: LogReader | undefined;
  let restarter: Restarter | undefined;
  const stopAndEnd = async (code: number) => {
    starting.abort();
    restarter?.stop();
    await platform?.stop();
    if (platform === undefined) return;
    if (logs !== undefined) printLogs(logs.readRest());
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
  const sayAmongLogs = (line: string) => {
    if (logs === undefined) return say(line);
    // What the services said before comes before.
    printLogs(logs.read());
    say(style('bold', line));
  };
  try {
    platform = await startPlatform({
      dir,
      replicas,
      log: sayAmongLogs,
      signal: starting.signal,
      restartServices: !restartsOnChange,
    });
  } catch (error) {
    // Nothing runs any more.
    rmSync(stateFile, { force: true });
    throw error;
  }
  say(banner(platform, (performance.now() - startedAt) / 1000));
  if (background) {
    process.send?.({ ready: true });
    return;
  }
  const reader = openLogs(logsDir, isOurs);
  logs = reader;
  setInterval(() => printLogs(reader.read()), LOGS_INTERVAL_MS);
  if (!restartsOnChange) return;
  const { processes, migrate } = platform;
  restarter = createRestarter({ processes, migrate, log: sayAmongLogs });
  watchCode(root, restarter.changed);
  say('A service is started again when its code changes, all of them when shared/ does.');
}

/** The same, as a process of its own that outlives us; its lines are printed here until it is ready. */
async function startInBackground(replicas: number): Promise<void> {
  mkdirSync(logsDir, { recursive: true, mode: 0o700 });
  const log = openSync(join(logsDir, 'runner.log'), 'a');
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
      if (message.line !== undefined) tell(message.line);
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

/** Prints the last lines of the logs and what comes after, for as long as the platform runs. */
async function follow(names: readonly string[], before: number): Promise<void> {
  const isOf = (log: string, name: string) => log === name || log.replace(/-\d+$/, '') === name;
  const isNamed = (log: string) => names.some((name) => isOf(log, name));
  const all = logNames(logsDir);
  const unknown = names.find((name) => !all.some((log) => isOf(log, name)));
  const known = all.length === 0 ? '' : `, only of ${all.join(', ')}`;
  if (unknown !== undefined) throw new UsageError(`There is no log of ${unknown}${known}.`);
  const logs = openLogs(logsDir, names.length === 0 ? isOurs : isNamed, before);
  const last = logs.read();
  printLogs(last.slice(Math.max(0, last.length - before)));
  // Whoever reads along may have seen enough.
  process.stdout.on('error', () => process.exit(0));
  const timer = setInterval(() => printLogs(logs.read()), LOGS_INTERVAL_MS);
  while (isStarted()) await sleep(2_000);
  clearInterval(timer);
  printLogs(logs.readRest());
  console.error('Nothing is running. `npm start` starts the platform.');
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

/** user-service's own command, told what the platform's copies are told. */
function keys(command: string | undefined): void {
  const file = join(dir, 'keys.env');
  if (!isStarted() || !existsSync(file)) throw new UsageError('The platform is not running: `npm start` first.');
  const { PATH } = process.env;
  const { status } = spawnSync(process.execPath, ['src/keys.ts', ...(command === undefined ? [] : [command])], {
    cwd: join(root, 'user-service'),
    env: { PATH, NODE_COMPILE_CACHE: join(dir, 'compile-cache'), ...parseEnv(readFileSync(file, 'utf8')) },
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
}

async function main(): Promise<void> {
  const [command = '', ...rest] = process.argv.slice(2);
  const { values, positionals } = readArguments(rest);
  const unknown = command === 'logs' ? undefined : positionals[command === 'mail' || command === 'keys' ? 1 : 0];
  if (unknown !== undefined) throw new UsageError(`Unknown argument: ${unknown}`);
  const replicas = Number(values.replicas);
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 9)
    throw new UsageError('--replicas is a number from 1 to 9.');
  const lines = Number(values.lines);
  if (!Number.isInteger(lines) || lines < 0) throw new UsageError('--lines is a number from 0 on.');
  if (!['text', 'json', undefined].includes(process.env.LOG_FORMAT))
    throw new UsageError('LOG_FORMAT is text or json.');
  if (values.detach && command !== 'start') throw new UsageError('--detach is for `npm start`.');
  switch (command) {
    case 'start':
      return start({ replicas, detach: values.detach, background: values.background, restartsOnChange: false });
    case 'dev':
      return start({ replicas, detach: false, background: false, restartsOnChange: true });
    case 'stop':
      return stop();
    case 'status':
      return status();
    case 'logs':
      return follow(positionals, lines);
    case 'reset':
      return reset();
    case 'mail':
      return mail(values.json, positionals[0]);
    case 'keys':
      return keys(positionals[0]);
    default:
      throw new UsageError('The commands are start, dev, stop, status, logs, reset, mail and keys.');
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
        /** How many log lines from before. */
        lines: { type: 'string', default: '20' },
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
