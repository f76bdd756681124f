// Databases and their users; the local runner takes `./postgres` alone and does without the driver of the other.
export { type MongoAccess, provisionMongo } from './mongo.ts';
export { limitPostgresRights, type PostgresAccess, provisionPostgres } from './postgres.ts';
