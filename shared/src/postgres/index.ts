// PostgreSQL for a service: pool, transactions, outbox, inbox, idempotency keys, migrations.
export * from './database.ts';
export * from './idempotency.ts';
export * from './inbox.ts';
export * from './migrate.ts';
export * from './outbox.ts';
