// MongoDB for a service: connection, transactions, outbox, inbox, idempotency keys.
export * from './database.ts';
export * from './idempotency.ts';
export * from './inbox.ts';
export * from './outbox.ts';
