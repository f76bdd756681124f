// The servers that the platform stands on, for everything that runs it: the local runner and the tests.
export { fetchPackages, findOnPath, type WantedPackages } from './apt-packages.ts';
export { type MongoKind, type MongoServer, startMongo } from './mongo.ts';
export { accepts, freePort, freePorts, isFree, onFreePort, reservePorts, takenPortsLine } from './ports.ts';
export { type PostgresServer, removePostgres, startPostgres } from './postgres.ts';
export { type BrokerDefinitions, managementRequest, type RabbitMqServer, startRabbitMq } from './rabbitmq.ts';
export { type SmtpSink, startSmtpSink } from './smtp-sink.ts';
