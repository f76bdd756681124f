// What the tests talk to: a real MongoDB where MONGO_URL names one, else a stand-in in a folder of its own.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { type Db, MongoClient, MongoServerError } from 'mongodb';
import { startMongoStandin } from '../index.ts';

export const isStandin = process.env.MONGO_URL === undefined;

/** Starts and stops what the tests of a file need; each test has its own collections in the file's own database. */
export function useServer(): { url: string; client: MongoClient; db: Db } {
  const server = {} as { url: string; client: MongoClient; db: Db };
  const stops: (() => Promise<unknown>)[] = [];
  before(async () => {
    const url = process.env.MONGO_URL ?? (await startTemporary());
    const client = new MongoClient(url, { serverSelectionTimeoutMS: 5_000 });
    const db = client.db(`standin_test_${randomUUID().slice(0, 8)}`);
    stops.unshift(
      () => db.dropDatabase(),
      () => client.close(),
    );
    Object.assign(server, { url, client, db });
  });
  after(async () => {
    for (const stop of stops) await stop();
  });

  async function startTemporary(): Promise<string> {
    const dir = await temporaryFolder();
    const standin = await startMongoStandin({ dir, ttlSweepSeconds: 0.2 });
    stops.push(
      () => standin.stop(),
      () => rm(dir, { recursive: true }),
    );
    return standin.url;
  }
  return server;
}

export const temporaryFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'mongo-standin-'));

/** The refusal of an operation that must be refused. */
export async function refusal(operation: Promise<unknown>): Promise<MongoServerError> {
  const outcome = await operation.then(
    (value) => new Error(`not refused, but ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  if (outcome instanceof MongoServerError) return outcome;
  throw outcome;
}

/** Waits until `condition` holds; @throws after `limitMs` */
export async function until(condition: () => Promise<boolean> | boolean, limitMs = 10_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${limitMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
