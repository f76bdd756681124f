// Databases and their users, for the command and for the local runner.
export { type MongoAccess, provisionMongo } from './mongo.ts';
export { limitPostgresRights, type PostgresAccess, provisionPostgres } from './postgres.ts';
