// Events in and out through RabbitMQ: the topology, the connection, publishing with confirms, the outbox relay, and the consumer.
export * from './broker.ts';
export * from './cloud-event.ts';
export * from './consumer.ts';
export * from './outbox-relay.ts';
export * from './publisher.ts';
export * from './subscriptions.ts';
export * from './topology.ts';
