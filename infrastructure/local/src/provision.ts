// Databases and roles on an embedded PostgreSQL: for each service an owner that migrates and a role that may only work with rows, and one that only reads.
import pg from 'pg';
import type { Secrets } from './secrets.ts';

/** A service's database, as each of its three kinds of user reaches it. */
export interface DatabaseUrls {
  service: string;
  migration: string;
  audit: string;
  /** To be called when the tables are there; absent where the database is not ours. */
  afterMigration?: () => Promise<void>;
}

const AUDITOR = 'auditor';

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function urlFor(server: string, role: string, password: string, database: string): string {
  const url = new URL(server);
  url.username = role;
  url.password = password;
  url.pathname = database;
  return url.href;
}

/** All that the auditor needs of the users: no password, no token, no key. */
const AUDITED_OF_USERS =
  'grant select (id, email, name, version) on users to auditor; grant select on outbox to auditor';

/** Takes away what the default rights give too much, once the migrations have made the tables. */
async function limitRights(url: string, database: string, role: string): Promise<void> {
  await withClient(url, async (client) => {
    await client.query(`revoke insert, update, delete on schema_migrations from ${role}`);
    if (database === 'users')
      await client.query(`revoke all on all tables in schema public from ${AUDITOR}; ${AUDITED_OF_USERS}`);
  });
}

async function ensureRole(client: pg.Client, role: string, password: string): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
  const literal = client.escapeLiteral(password);
  await client.query(`${rowCount === 0 ? 'create' : 'alter'} role ${role} login password ${literal}`);
}

/**
 * Makes what is missing; leaves alone what is there.
 * @param server the superuser's URL
 * @param database its name, as in `orders`
 * @param role the service's role, as in `order_service`; the owner's is `<role>_owner`
 */
export async function provisionDatabase(
  server: string,
  database: string,
  role: string,
  secrets: Secrets,
): Promise<DatabaseUrls> {
  const owner = `${role}_owner`;
  const password = (name: string) => secrets(`postgres ${name}`);
  await withClient(server, async (client) => {
    for (const name of [owner, role, AUDITOR]) await ensureRole(client, name, password(name));
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
    if (rowCount === 0) await client.query(`create database ${database} owner ${owner}`);
    await client.query(`revoke all on database ${database} from public`);
    await client.query(`grant connect on database ${database} to ${role}, ${AUDITOR}`);
  });
  const inDatabase = new URL(server);
  inDatabase.pathname = database;
  await withClient(inDatabase.href, async (client) => {
    await client.query(`
      alter schema public owner to ${owner};
      revoke all on schema public from public;
      grant usage on schema public to ${role}, ${AUDITOR};
      alter default privileges for role ${owner} in schema public grant select, insert, update, delete on tables to ${role};
      alter default privileges for role ${owner} in schema public grant select on tables to ${AUDITOR};
    `);
  });
  return {
    service: urlFor(server, role, password(role), database),
    migration: urlFor(server, owner, password(owner), database),
    audit: urlFor(server, AUDITOR, password(AUDITOR), database),
    afterMigration: () => limitRights(inDatabase.href, database, role),
  };
}
