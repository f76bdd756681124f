// What each process of the platform is told: the environment of the services, of their migrations, of the auditor and of the dead-letters tool.
import { MONITORING, OPERATOR } from '@glasshouse/shared/event-bus';
import type { DatabaseUrls } from './provision.ts';
import type { Secrets } from './secrets.ts';
import { copiesOf, type Replicas, type ServiceDescription, services } from './services.ts';

/** What has been started or named by the caller, and where. */
export interface Surroundings {
  /** The caller's environment: inherited by all, and where servers of one's own are named. */
  env: NodeJS.ProcessEnv;
  secrets: Secrets;
  replicas: Replicas;
  portOffset: number;
  /** By service. */
  databases: ReadonlyMap<string, DatabaseUrls>;
  /** The embedded MongoDB, if any. */
  mongoUrl: string | undefined;
}

export interface Endpoints {
  /** The embedded RabbitMQ, if any. */
  rabbitmq: { url: string; managementUrl: string } | undefined;
  smtpUrl: string;
  paymentProviderUrl: string;
}

/** The broker's users, by name, with their passwords. */
export function brokerPasswords(secrets: Secrets): Record<string, string> {
  const names = [...services.filter(({ usesBroker }) => usesBroker).map(({ name }) => name), MONITORING, OPERATOR];
  return Object.fromEntries(names.map((name) => [name, secrets(`rabbitmq ${name}`)]));
}

/** The key that the payment simulator asks for and payment-service has. */
export const paymentProviderKey = (secrets: Secrets) => `sk_test_${secrets('stripe')}`;

const keyEncryptionKey = (secrets: Secrets) => Buffer.from(secrets('key encryption'), 'base64url').toString('base64');

function mongoUrlOf(service: ServiceDescription, { env, mongoUrl }: Surroundings): string | undefined {
  if (service.mongo === undefined) return undefined;
  const own = env[service.mongo.urlSetting];
  // A connection string may name several hosts, which `URL` refuses.
  const parts = /^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?([^?]*)(.*)$/.exec(own ?? env.MONGO_URL ?? mongoUrl ?? '');
  const [, server = '', named = '', options = ''] = parts ?? [];
  // The common URL never names the database: two services in one would take each other's inbox for their own.
  const database = own !== undefined && named !== '' ? named : service.mongo.database;
  return `${server}/${database}${options}`;
}

/** Secrets and addresses that are one service's, or the runner's own: nobody else inherits them. */
const ofOneService =
  /(^|_)(DATABASE_URL|MONGO_URL|RABBITMQ_URL|RABBITMQ_MANAGEMENT_URL|SMTP_URL|STRIPE_API_KEY|STRIPE_API_URL|KEY_ENCRYPTION_KEY)$/;

/** What a service and its migration have in common. */
function commonSettings(service: ServiceDescription, surroundings: Surroundings): NodeJS.ProcessEnv {
  const { env, secrets } = surroundings;
  const inherited = Object.fromEntries(Object.entries(env).filter(([name]) => !ofOneService.test(name)));
  const mongoUrl = mongoUrlOf(service, surroundings);
  return {
    ...inherited,
    NODE_ENV: env.NODE_ENV ?? 'development',
    ...(mongoUrl !== undefined && { MONGO_URL: mongoUrl }),
    ...((service.name === 'user-service' || service.name === 'product-service') && {
      SEED_DEMO_DATA: env.SEED_DEMO_DATA ?? 'true',
    }),
    ...(service.name === 'user-service' && {
      KEY_ENCRYPTION_KEY: keyEncryptionKey(secrets),
    }),
  };
}

/** The environment of `src/migrate.ts`: where the service has Postgres, it alone is told the owner's URL. */
export function migrationSettings(service: ServiceDescription, surroundings: Surroundings): NodeJS.ProcessEnv {
  const migration = surroundings.databases.get(service.name)?.migration;
  return {
    ...commonSettings(service, surroundings),
    ...(migration !== undefined && { MIGRATION_DATABASE_URL: migration }),
  };
}

/** The environment of `src/main.ts`, except for its ports. */
export function serviceSettings(
  service: ServiceDescription,
  surroundings: Surroundings,
  endpoints: Endpoints,
): NodeJS.ProcessEnv {
  const { env, secrets, replicas, portOffset, databases } = surroundings;
  const database = databases.get(service.name)?.service;
  const urls = services.map((other) => [
    other.urlSetting,
    copiesOf(other, replicas, portOffset)
      .map(({ url }) => url)
      .join(','),
  ]);
  return {
    ...commonSettings(service, surroundings),
    ...Object.fromEntries(urls),
    ...(service.usesBroker && { RABBITMQ_URL: env.RABBITMQ_URL ?? brokerUrl(service.name, secrets, endpoints) }),
    ...(database !== undefined && { DATABASE_URL: database }),
    ...(service.name === 'payment-service' && {
      // Stripe itself, with a key of one's own, or the simulator.
      STRIPE_API_KEY: env.STRIPE_API_URL === undefined ? paymentProviderKey(secrets) : env.STRIPE_API_KEY,
      STRIPE_API_URL: env.STRIPE_API_URL ?? endpoints.paymentProviderUrl,
    }),
    ...(service.name === 'notification-service' && { SMTP_URL: env.SMTP_URL ?? endpoints.smtpUrl }),
  };
}

/** The environment of `user-service/src/keys.ts`. */
export function keysSettings({ env, secrets, databases }: Surroundings): Record<string, string> {
  return {
    DATABASE_URL: databases.get('user-service')?.service ?? '',
    KEY_ENCRYPTION_KEY: keyEncryptionKey(secrets),
    ...(env.ACCESS_TOKEN_TTL_S !== undefined && { ACCESS_TOKEN_TTL_S: env.ACCESS_TOKEN_TTL_S }),
  };
}

function brokerUrl(user: string, secrets: Secrets, { rabbitmq }: Endpoints): string {
  return withUser(rabbitmq?.url ?? '', user, brokerPasswords(secrets)[user] ?? '');
}

function withUser(address: string, user: string, password: string): string {
  const url = new URL(address);
  url.username = user;
  url.password = password;
  return url.href;
}

/** https://www.rabbitmq.com/docs/uri-spec#the-amqp-uri-scheme: a path of nothing, or of a slash alone, is the usual one here. */
const vhostOf = (brokerUrl: string) => decodeURIComponent(new URL(brokerUrl).pathname.slice(1)) || '/';

/** What the auditor is told: read-only access to every database, the broker's management API and the provider's ledger. */
export function auditSettings(surroundings: Surroundings, endpoints: Endpoints): Record<string, string> {
  const { env, secrets, databases } = surroundings;
  const { rabbitmq, paymentProviderUrl } = endpoints;
  const settings: Record<string, string> = {
    // Without the slash at the end, so that people can write `$AUDIT_LEDGER_URL/moods`.
    AUDIT_LEDGER_URL: withUser(paymentProviderUrl, '', paymentProviderKey(secrets)).replace(/\/$/, ''),
    AUDIT_RABBITMQ_MANAGEMENT_URL:
      rabbitmq === undefined
        ? (env.RABBITMQ_MANAGEMENT_URL ?? '')
        : withUser(rabbitmq.managementUrl, MONITORING, brokerPasswords(secrets)[MONITORING] ?? ''),
    AUDIT_VHOST: vhostOf(rabbitmq?.url ?? env.RABBITMQ_URL ?? ''),
    // One second is what `startRabbitMq` sets, five is RabbitMQ's default.
    AUDIT_QUEUE_COUNTS_AGE_S: env.AUDIT_QUEUE_COUNTS_AGE_S ?? (rabbitmq === undefined ? '5' : '1'),
    ...(env.SAGA_TIMEOUT_S !== undefined && { SAGA_TIMEOUT_S: env.SAGA_TIMEOUT_S }),
  };
  for (const service of services) {
    const url = databases.get(service.name)?.audit ?? mongoUrlOf(service, surroundings);
    if (url !== undefined) settings[`AUDIT_${service.urlSetting.replace('_URL', '')}_DATABASE_URL`] = url;
  }
  return settings;
}

/** What the dead-letters tool is told: the broker, as the user who may take from the dead-letter queues. */
export function operatorSettings({ env, secrets }: Surroundings, endpoints: Endpoints): Record<string, string> {
  return { DEAD_LETTERS_RABBITMQ_URL: env.RABBITMQ_URL ?? brokerUrl(OPERATOR, secrets, endpoints) };
}
