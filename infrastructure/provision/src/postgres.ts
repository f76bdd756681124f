// Databases and roles on PostgreSQL: for each service an owner that migrates, a role that may only work with rows, and one that only reads.
import pg from 'pg';
import type { Login } from './logins.ts';

export interface PostgresAccess {
  /** The database's name, as in `orders`. */
  database: string;
  service: Login;
  /** Who migrates. */
  owner: Login;
  /** Who only reads. */
  auditor: Login;
}

const name = pg.escapeIdentifier;

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function inDatabase(server: string, database: string): string {
  const url = new URL(server);
  url.pathname = database;
  return url.href;
}

async function ensureRole(client: pg.Client, role: Login): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role.name]);
  const change = `${rowCount === 0 ? 'create' : 'alter'} role ${name(role.name)} login password`;
  await client.query(`${change} ${pg.escapeLiteral(role.password)}`);
}

/**
 * Makes what is missing, sets the passwords, and leaves the rest as it is.
 * @param server the superuser's URL
 */
export async function provisionPostgres(server: string, access: PostgresAccess): Promise<void> {
  const [database, service, owner, auditor] = namesOf(access);
  await withClient(server, async (client) => {
    for (const role of [access.owner, access.service, access.auditor]) await ensureRole(client, role);
    const { rowCount } = await client.query('select from pg_database where datname = $1', [access.database]);
    if (rowCount === 0) await client.query(`create database ${database} owner ${owner}`);
    await client.query(`revoke all on database ${database} from public`);
    await client.query(`grant connect on database ${database} to ${service}, ${auditor}`);
  });
  await withClient(inDatabase(server, access.database), async (client) => {
    await client.query(`
      alter schema public owner to ${owner};
      revoke all on schema public from public;
      grant usage on schema public to ${service}, ${auditor};
      alter default privileges for role ${owner} in schema public grant select, insert, update, delete on tables to ${service};
      alter default privileges for role ${owner} in schema public grant select on tables to ${auditor};
    `);
  });
}

/** Takes away what the default rights give too much, once the migrations have made the tables. */
export async function limitPostgresRights(server: string, access: PostgresAccess): Promise<void> {
  const [, service, , auditor] = namesOf(access);
  await withClient(inDatabase(server, access.database), async (client) => {
    await client.query(`revoke insert, update, delete on schema_migrations from ${service}`);
    // All that the auditor needs of the users: no password, no token, no key.
    if (access.database === 'users')
      await client.query(`
        revoke all on all tables in schema public from ${auditor};
        grant select (id, email, name, version) on users to ${auditor};
        grant select on outbox to ${auditor};
      `);
  });
}

const namesOf = ({ database, service, owner, auditor }: PostgresAccess) =>
  [name(database), name(service.name), name(owner.name), name(auditor.name)] as const;
