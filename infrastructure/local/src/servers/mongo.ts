// Runs MongoDB: a real mongod where there is one or one can be fetched, else the stand-in.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createProcessTable, type Log, type ManagedProcess, type ProcessTable, waitUntilUp } from '../processes.ts';
import { findOnPath } from './apt-packages.ts';
import { accepts, onFreePort } from './ports.ts';

export type MongoKind = 'mongod' | 'mongod (downloaded)' | 'stand-in';

export type MongoServer = {
  /** Without a database name; add one as the path. */
  url: string;
  kind: MongoKind;
  port: number;
  pid: number;
  process: ManagedProcess;
  stop(): Promise<void>;
};

export type MongoOptions = {
  /** Where the data is kept. Made if missing. */
  dir: string;
  /** Where a downloaded mongod is kept. Default: `<dir>/../mongodb-binaries`. */
  cacheDir?: string;
  /** Default: a free one. */
  port?: number;
  log: Log;
  processes?: ProcessTable;
  logFile?: string;
};

const STAND_IN = fileURLToPath(new URL('../../mongo-standin/main.ts', import.meta.url));
/** A download that failed is tried again after this time. */
const RETRY_DOWNLOAD_AFTER_MS = 24 * 60 * 60 * 1000;

/**
 * Starts MongoDB as a replica set of one node on 127.0.0.1. The data of mongod and of the stand-in lie side by side in
 * `dir`: neither reads the other's.
 * @throws where it does not come up, with the last lines of its log
 */
export async function startMongo(options: MongoOptions): Promise<MongoServer> {
  const { log, processes = createProcessTable() } = options;
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const start = { ...options, dir, processes, logFile: options.logFile ?? join(dir, 'mongo.log') };
  const installed = findOnPath('mongod');
  if (installed !== undefined) return startMongod(start, installed, 'mongod');
  const cacheDir = resolve(options.cacheDir ?? join(dir, '..', 'mongodb-binaries'));
  const downloaded = await downloadMongod(cacheDir, log);
  if (downloaded !== undefined) {
    try {
      return await startMongod(start, downloaded, 'mongod (downloaded)');
    } catch (error) {
      // It may need a processor or a library that this machine does not have.
      rememberFailure(cacheDir, error);
      log('MongoDB: the downloaded mongod does not run here; taking the stand-in');
    }
  }
  return startStandIn(start);
}

type Start = MongoOptions & { dir: string; processes: ProcessTable; logFile: string };

function startStandIn({ dir, port: wanted, processes, logFile }: Start): Promise<MongoServer> {
  const data = join(dir, 'stand-in');
  mkdirSync(data, { recursive: true });
  return onFreePort(wanted, async (port) => {
    const child = await processes.start({
      name: 'mongo',
      stage: 'server',
      command: process.execPath,
      args: [STAND_IN, '--dir', data, '--port', String(port)],
      logFile,
      port,
    });
    await waitUntilUp(child, logFile, () => accepts(port));
    return { url: urlOf(port), kind: 'stand-in', port, pid: child.pid, process: child, stop: () => child.stop() };
  });
}

function startMongod(start: Start, command: string, kind: MongoKind): Promise<MongoServer> {
  const { dir, port: wanted, processes, logFile } = start;
  const data = join(dir, 'mongod');
  mkdirSync(data, { recursive: true });
  return onFreePort(wanted, async (port) => {
    const child = await processes.start({
      name: 'mongo',
      stage: 'server',
      command,
      args: [
        ...['--dbpath', data, '--port', String(port), '--bind_ip', '127.0.0.1', '--replSet', 'rs0'],
        ...['--setParameter', 'transactionLifetimeLimitSeconds=5', '--wiredTigerCacheSizeGB', '0.25'],
        '--nounixsocket',
      ],
      logFile,
      port,
    });
    try {
      await waitUntilUp(child, logFile, () => accepts(port));
      await becomePrimary(port);
    } catch (error) {
      await child.kill();
      throw error;
    }
    return { url: urlOf(port), kind, port, pid: child.pid, process: child, stop: () => child.stop() };
  });
}

const urlOf = (port: number) => `mongodb://127.0.0.1:${port}/?replicaSet=rs0`;

/** Makes the node a replica set of its own, under the port it has today, and waits until it takes writes. */
async function becomePrimary(port: number): Promise<void> {
  // Loaded here: the stand-in needs none of it.
  const { MongoClient } = await import('mongodb');
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/?directConnection=true`);
  try {
    const admin = client.db('admin');
    const members = [{ _id: 0, host: `127.0.0.1:${port}` }];
    const config = await admin.command({ replSetGetConfig: 1 }).then(
      (answer) => answer.config as { version: number; members: { host: string }[] },
      (error: { codeName?: string }) => {
        if (error.codeName !== 'NotYetInitialized') throw error;
        return undefined;
      },
    );
    if (config === undefined) {
      await admin.command({ replSetInitiate: { _id: 'rs0', members } });
    } else if (config.members[0]?.host !== members[0]?.host) {
      // Under its old port the node does not find itself and stays without a primary: hence the force.
      await admin.command({ replSetReconfig: { ...config, version: config.version + 1, members }, force: true });
    }
    const limit = Date.now() + 30_000;
    while (!(await admin.command({ hello: 1 })).isWritablePrimary) {
      if (Date.now() > limit) throw new Error('mongod did not become primary within 30 s.');
      await sleep(50);
    }
  } finally {
    await client.close();
  }
}

/**
 * The path of a mongod that `mongodb-memory-server-core` has fetched or fetches now; undefined where that is not
 * possible. Its MONGOMS_* variables are followed.
 */
async function downloadMongod(cacheDir: string, log: Log): Promise<string | undefined> {
  if (failedLately(cacheDir)) return undefined;
  try {
    const { MongoBinary } = await import('mongodb-memory-server-core/lib/util/MongoBinary.js');
    const { DryMongoBinary } = await import('mongodb-memory-server-core/lib/util/DryMongoBinary.js');
    const options = { downloadDir: cacheDir };
    const there = await DryMongoBinary.locateBinary(await DryMongoBinary.generateOptions(options));
    if (there !== undefined) return there;
    await askForDownload();
    log('MongoDB: fetching mongod (once, about 100 MB)');
    return await MongoBinary.getPath(options);
  } catch (error) {
    rememberFailure(cacheDir, error);
    log('MongoDB: mongod cannot be fetched; taking the stand-in');
    return undefined;
  }
}

/** Fails within seconds on a closed network, where the download itself would try for minutes. */
async function askForDownload(): Promise<void> {
  const { MongoBinaryDownloadUrl } = await import('mongodb-memory-server-core/lib/util/MongoBinaryDownloadUrl.js');
  const { DryMongoBinary } = await import('mongodb-memory-server-core/lib/util/DryMongoBinary.js');
  const { version, arch } = await DryMongoBinary.generateOptions({});
  const url = await new MongoBinaryDownloadUrl({ version, arch, platform: process.platform }).getDownloadUrl();
  const answer = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(4_000) });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}.`);
}

function rememberFailure(cacheDir: string, error: unknown): void {
  mkdirSync(cacheDir, { recursive: true });
  writeFileSync(failureFile(cacheDir), JSON.stringify({ at: Date.now(), reason: String(error) }));
}

function failedLately(cacheDir: string): boolean {
  try {
    const { at } = JSON.parse(readFileSync(failureFile(cacheDir), 'utf8')) as { at: number };
    if (Date.now() - at < RETRY_DOWNLOAD_AFTER_MS) return true;
    rmSync(failureFile(cacheDir));
  } catch {
    // Nothing is remembered.
  }
  return false;
}

const failureFile = (cacheDir: string) => join(cacheDir, 'download-failed.json');
