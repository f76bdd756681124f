// A MongoDB replica set of one node, and on it the users of one service's database: its own, and one that only reads.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Db, type Document, MongoClient, MongoServerError } from 'mongodb';
import { databaseOf, type Login, loginOf } from './logins.ts';

export interface MongoAccess {
  /** The service's own connection string; it names the replica set and this node as its clients reach it. */
  service: string;
  auditor: string;
}

const ALREADY_INITIALIZED = 23;
const USER_EXISTS = 51_003;
const PRIMARY_WITHIN_MS = 30_000;

/** Does nothing where the replica set is there. */
async function ensureReplicaSet(admin: Db, name: string, host: string): Promise<void> {
  try {
    await admin.command({ replSetInitiate: { _id: name, members: [{ _id: 0, host }] } });
  } catch (error) {
    if (!(error instanceof MongoServerError) || error.code !== ALREADY_INITIALIZED) throw error;
  }
  const startedAt = performance.now();
  while (!((await admin.command({ hello: 1 })) as Document & { isWritablePrimary?: boolean }).isWritablePrimary) {
    if (performance.now() - startedAt > PRIMARY_WITHIN_MS) throw new Error('The replica set has chosen no primary.');
    await sleep(100);
  }
}

async function canLogIn(url: string): Promise<boolean> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 5_000 });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.close();
  }
}

/** A user of one database with one of MongoDB's own roles there; left alone where it can log in already. */
async function ensureUser(db: Db, { name, password }: Login, role: 'readWrite' | 'read'): Promise<void> {
  const rights = { pwd: password, roles: [{ role, db: db.databaseName }] };
  try {
    await db.command({ createUser: name, ...rights });
  } catch (error) {
    if (!(error instanceof MongoServerError) || error.code !== USER_EXISTS) throw error;
    await db.command({ updateUser: name, ...rights });
  }
}

/**
 * Makes what is missing, and sets the passwords.
 * @param server the root user's connection string, with `directConnection=true`: a node that is no member yet can't be found otherwise
 */
export async function provisionMongo(server: string, access: MongoAccess): Promise<void> {
  const { host, searchParams } = new URL(access.service);
  const client = new MongoClient(server);
  try {
    await ensureReplicaSet(client.db('admin'), searchParams.get('replicaSet') ?? 'rs0', host);
    const db = client.db(databaseOf(access.service));
    for (const [url, role] of [
      [access.service, 'readWrite'],
      [access.auditor, 'read'],
    ] as const)
      if (!(await canLogIn(url))) await ensureUser(db, loginOf(url), role);
  } finally {
    await client.close();
  }
}
