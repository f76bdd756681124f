// The command: makes users and rights, as often as it is run. Exit code 0 where they are there, else 1.
//   node src/main.ts postgres          a service's database and its roles, before the migration
//   node src/main.ts postgres-rights   what the migration's tables need of it, after the migration
//   node src/main.ts mongo             the replica set, and the users of a service's database
//   node src/main.ts broker            RabbitMQ's definitions file: the topology, and a user for each service
import { writeFile } from 'node:fs/promises';
import { ConfigError } from '@glasshouse/shared/config';
import { brokerDefinitions } from '@glasshouse/shared/event-bus';
import { runOnce } from '@glasshouse/shared/process';
import { loadBrokerConfig, loadMongoConfig, loadPostgresConfig } from './config.ts';
import { databaseOf, loginOf, withPassword } from './logins.ts';
import { provisionMongo } from './mongo.ts';
import { limitPostgresRights, provisionPostgres } from './postgres.ts';

async function postgres(work: typeof provisionPostgres): Promise<void> {
  const config = loadPostgresConfig(process.env);
  await work(withPassword(config.ADMIN_DATABASE_URL, config.ADMIN_PASSWORD), {
    database: databaseOf(config.DATABASE_URL),
    service: loginOf(config.DATABASE_URL),
    owner: loginOf(config.MIGRATION_DATABASE_URL),
    auditor: loginOf(config.AUDIT_DATABASE_URL),
  });
}

async function mongo(): Promise<void> {
  const config = loadMongoConfig(process.env);
  const server = withPassword(config.ADMIN_MONGO_URL, config.ADMIN_PASSWORD);
  await provisionMongo(server, { service: config.MONGO_URL, auditor: config.AUDIT_DATABASE_URL });
}

async function broker(): Promise<void> {
  const { NODE_ENV: _, BROKER_DEFINITIONS_FILE: file, ...addresses } = loadBrokerConfig(process.env);
  const logins = Object.values(addresses).map(loginOf);
  const definitions = brokerDefinitions(Object.fromEntries(logins.map(({ name, password }) => [name, password])));
  await writeFile(file, JSON.stringify(definitions, null, 2));
}

const commands: Record<string, () => Promise<void>> = {
  postgres: () => postgres(provisionPostgres),
  'postgres-rights': () => postgres(limitPostgresRights),
  mongo,
  broker,
};

await runOnce(async () => {
  const command = commands[process.argv[2] ?? ''];
  if (command === undefined) throw new ConfigError(`The commands are ${Object.keys(commands).join(', ')}.`);
  await command();
});
