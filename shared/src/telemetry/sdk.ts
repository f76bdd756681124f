// The OpenTelemetry SDK with the few instrumentations that the services need. Loaded by register.ts only: it costs memory and time.
import { AmqplibInstrumentation } from '@opentelemetry/instrumentation-amqplib';
import { ExpressInstrumentation } from '@opentelemetry/instrumentation-express';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { MongoDBInstrumentation } from '@opentelemetry/instrumentation-mongodb';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { register } from 'import-in-the-middle/register-hooks.mjs';

// ES modules are instrumented through synchronous hooks; without `include` every module would be wrapped.
register({ include: ['http', 'https', 'node:http', 'node:https', 'express', 'pg', 'pg-pool', 'mongodb', 'amqplib'] });

const sdk = new NodeSDK({
  instrumentations: [
    new HttpInstrumentation({ ignoreIncomingRequestHook: ({ url }) => url === '/health' || url === '/ready' }),
    new ExpressInstrumentation(),
    new PgInstrumentation({ requireParentSpan: true }),
    new MongoDBInstrumentation(),
    new AmqplibInstrumentation(),
  ],
});
sdk.start();

process.on('beforeExit', () => {
  sdk.shutdown().catch(() => {});
});
