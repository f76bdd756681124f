// Databases and roles on an embedded PostgreSQL, with passwords of this machine's own.
import { limitPostgresRights, provisionPostgres } from '@glasshouse/provision/postgres';
import type { Secrets } from './secrets.ts';

/** A service's database, as each of its three kinds of user reaches it. */
export interface DatabaseUrls {
  service: string;
  migration: string;
  audit: string;
  /** To be called when the tables are there; absent where the database is not ours. */
  afterMigration?: () => Promise<void>;
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
  const login = (name: string) => ({ name, password: secrets(`postgres ${name}`) });
  const access = { database, service: login(role), owner: login(`${role}_owner`), auditor: login('auditor') };
  await provisionPostgres(server, access);
  const urlFor = ({ name, password }: ReturnType<typeof login>) => {
    const url = new URL(server);
    url.username = name;
    url.password = password;
    url.pathname = database;
    return url.href;
  };
  return {
    service: urlFor(access.service),
    migration: urlFor(access.owner),
    audit: urlFor(access.auditor),
    afterMigration: () => limitPostgresRights(server, access),
  };
}
