// Every setting of the command, typed and checked; the only reader of the environment here. The addresses are those that the services, the auditor and the dead-letters tool are given.
import { commonSettings, mongoUrl, readSettings, secret, url } from '@glasshouse/shared/config';
import { MONITORING, OPERATOR } from '@glasshouse/shared/event-bus';
import { z } from 'zod';
import { loginOf } from './logins.ts';

const { NODE_ENV } = commonSettings;
const postgresUrl = () => secret().pipe(url(/^postgres(ql)?$/));
/** The address of a user of the broker, whose rights go by its name. */
const brokerUrl = (name: string, protocols = /^amqps?$/) =>
  secret()
    .pipe(url(protocols))
    .refine((value) => loginOf(value).name === name, `is not the address of the user ${name}`);

export const postgresSettings = {
  NODE_ENV,
  /** The superuser's, without the password. */
  ADMIN_DATABASE_URL: url(/^postgres(ql)?$/),
  ADMIN_PASSWORD: secret(),
  DATABASE_URL: postgresUrl(),
  MIGRATION_DATABASE_URL: postgresUrl(),
  AUDIT_DATABASE_URL: postgresUrl(),
};

export const mongoSettings = {
  NODE_ENV,
  /** The root user's, without the password. */
  ADMIN_MONGO_URL: mongoUrl(),
  ADMIN_PASSWORD: secret(),
  MONGO_URL: secret().pipe(mongoUrl()),
  AUDIT_DATABASE_URL: secret().pipe(mongoUrl()),
};

export const brokerSettings = {
  NODE_ENV,
  /** Where the definitions are written, for the broker to load. */
  BROKER_DEFINITIONS_FILE: z.string().min(1),
  USER_SERVICE_RABBITMQ_URL: brokerUrl('user-service'),
  PRODUCT_SERVICE_RABBITMQ_URL: brokerUrl('product-service'),
  ORDER_SERVICE_RABBITMQ_URL: brokerUrl('order-service'),
  PAYMENT_SERVICE_RABBITMQ_URL: brokerUrl('payment-service'),
  NOTIFICATION_SERVICE_RABBITMQ_URL: brokerUrl('notification-service'),
  AUDIT_RABBITMQ_MANAGEMENT_URL: brokerUrl(MONITORING, /^https?$/),
  DEAD_LETTERS_RABBITMQ_URL: brokerUrl(OPERATOR),
};

/** @throws ConfigError naming every missing or wrong setting */
export const loadPostgresConfig = (env: NodeJS.ProcessEnv) => readSettings(postgresSettings, env);
/** @throws ConfigError naming every missing or wrong setting */
export const loadMongoConfig = (env: NodeJS.ProcessEnv) => readSettings(mongoSettings, env);
/** @throws ConfigError naming every missing or wrong setting */
export const loadBrokerConfig = (env: NodeJS.ProcessEnv) => readSettings(brokerSettings, env);
