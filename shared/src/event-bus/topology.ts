// Exchanges, queues and bindings, all derived from the contracts, so that no name is ever written twice.
import { createHash, randomBytes } from 'node:crypto';
import type { Channel } from 'amqplib';
import { eventDefinitions, type ServiceName, serviceNames } from '../contracts/index.ts';

export const EVENT_EXCHANGE = 'ecommerce.events';
export const RETRY_DELAYS_S = [1, 5, 15, 30, 60] as const;

export const queueOf = (service: ServiceName) => `${service}.events`;
export const retryQueueOf = (service: ServiceName, seconds: number) => `${service}.events.retry.${seconds}s`;
export const deadQueueOf = (service: ServiceName) => `${service}.events.dead`;
export const retryExchangeOf = (service: ServiceName) => `${service}.retry`;
export const deadExchangeOf = (service: ServiceName) => `${service}.dead`;
/** The key on the retry exchange that leads back to the main queue. */
export const MAIN_KEY = 'main';
export const DEAD_KEY = 'dead';

type Arguments = Record<string, string | number>;
interface Exchange {
  name: string;
  type: 'topic' | 'direct';
}
interface Queue {
  name: string;
  arguments: Arguments;
}
interface Binding {
  source: string;
  destination: string;
  key: string;
}
export interface Topology {
  exchanges: Exchange[];
  queues: Queue[];
  bindings: Binding[];
}

/** Every queue: durable and replicated, nothing dropped on overflow or on the way to the dead letters. */
function quorum(extra: Arguments = {}): Arguments {
  return {
    'x-queue-type': 'quorum',
    'x-delivery-limit': 1000,
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
    ...extra,
  };
}

/** The event types that a service's queue is bound to. */
export function consumedBy(service: ServiceName): string[] {
  return eventDefinitions.filter((definition) => definition.to.includes(service)).map((definition) => definition.type);
}

/** The services that have a queue. */
export const consumingServices: readonly ServiceName[] = serviceNames.filter(
  (service) => consumedBy(service).length > 0,
);

/** What one service needs: its main queue, a retry queue per delay, its dead-letter queue, and the two exchanges that lead there. */
export function topologyOf(service: ServiceName): Topology {
  const keys = consumedBy(service);
  if (keys.length === 0) return { exchanges: [], queues: [], bindings: [] };
  const main = queueOf(service);
  const dead = deadQueueOf(service);
  const retryExchange = retryExchangeOf(service);
  const deadExchange = deadExchangeOf(service);
  const toDead = { 'x-dead-letter-exchange': deadExchange, 'x-dead-letter-routing-key': DEAD_KEY };
  const backToMain = { 'x-dead-letter-exchange': retryExchange, 'x-dead-letter-routing-key': MAIN_KEY };
  return {
    exchanges: [
      { name: retryExchange, type: 'direct' },
      { name: deadExchange, type: 'direct' },
    ],
    queues: [
      { name: main, arguments: quorum(toDead) },
      ...RETRY_DELAYS_S.map((seconds) => ({
        name: retryQueueOf(service, seconds),
        arguments: quorum({ ...backToMain, 'x-message-ttl': seconds * 1000 }),
      })),
      { name: dead, arguments: quorum(toDead) },
    ],
    bindings: [
      ...keys.map((key) => ({ source: EVENT_EXCHANGE, destination: main, key })),
      { source: retryExchange, destination: main, key: MAIN_KEY },
      ...RETRY_DELAYS_S.map((seconds) => ({
        source: retryExchange,
        destination: retryQueueOf(service, seconds),
        key: `${seconds}s`,
      })),
      { source: deadExchange, destination: dead, key: DEAD_KEY },
    ],
  };
}

/** The whole platform's topology. */
export function fullTopology(): Topology {
  const parts = serviceNames.map(topologyOf);
  return {
    exchanges: [{ name: EVENT_EXCHANGE, type: 'topic' }, ...parts.flatMap((part) => part.exchanges)],
    queues: parts.flatMap((part) => part.queues),
    bindings: parts.flatMap((part) => part.bindings),
  };
}

/** Declares `topology`; does nothing where it is there already, and fails with 406 where it differs. */
export async function assertTopology(channel: Channel, topology: Topology): Promise<void> {
  for (const { name, type } of topology.exchanges) await channel.assertExchange(name, type, { durable: true });
  for (const queue of topology.queues)
    await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments });
  for (const { destination, source, key } of topology.bindings) await channel.bindQueue(destination, source, key);
}

/** A password as RabbitMQ stores it: https://www.rabbitmq.com/docs/passwords */
function passwordHash(password: string): string {
  const salt = randomBytes(4);
  const digest = createHash('sha256').update(salt).update(password, 'utf8').digest();
  return Buffer.concat([salt, digest]).toString('base64');
}

/** Matches these names and no other. */
const oneOf = (names: readonly string[]) =>
  names.length === 0 ? '^$' : `^(${names.join('|').replaceAll('.', '\\.')})$`;

/** The user that may look at everything and change nothing. */
export const MONITORING = 'monitoring';
/** The user that may take from the dead-letter queues and send back to the main queues what was in them. */
export const OPERATOR = 'operator';

/** What those users may do that are no service's. What the operator sends to a service, the service believes: its password is worth as much as those of all services. */
const permissionsOfPeople: Record<string, { configure: string; write: string; read: string }> = {
  [MONITORING]: { configure: '^$', write: '^$', read: '.*' },
  [OPERATOR]: {
    configure: '^$',
    write: oneOf(consumingServices.map(retryExchangeOf)),
    read: oneOf(consumingServices.map(deadQueueOf)),
  },
};

/**
 * What a service's broker user may do: declare and read its own, write to the event exchange and its own.
 * https://www.rabbitmq.com/docs/access-control
 */
function permissionsOf(service: ServiceName) {
  const consumes = consumedBy(service).length > 0;
  const own = `${service}\\.(events|retry|dead)(\\..*)?`;
  return {
    configure: consumes ? `^${own}$` : '^$',
    write: consumes ? `^(ecommerce\\.events|${own})$` : '^ecommerce\\.events$',
    read: consumes ? `^(ecommerce\\.events|${own})$` : '^$',
  };
}

/**
 * Which keys of the event exchange a service may publish and bind: only its own events, and those that it acts on.
 * https://www.rabbitmq.com/docs/access-control#topic-authorisation
 */
function topicPermissionsOf(service: ServiceName) {
  const published = eventDefinitions
    .filter((definition) => definition.from === service)
    .map((definition) => definition.type);
  return { exchange: EVENT_EXCHANGE, write: oneOf(published), read: oneOf(consumedBy(service)) };
}

/**
 * RabbitMQ's definitions file: the topology, and a user for each service that publishes or consumes, with only the permissions it needs.
 * @param passwords by user name: the services', `monitoring` and `operator`. No users where none are given.
 */
export function brokerDefinitions(passwords: Record<string, string> = {}, vhost = '/') {
  const topology = fullTopology();
  const users = Object.entries(passwords);
  return {
    vhosts: [{ name: vhost }],
    users: users.map(([name, password]) => ({
      name,
      password_hash: passwordHash(password),
      hashing_algorithm: 'rabbit_password_hashing_sha256',
      tags: name === MONITORING ? ['monitoring'] : [],
    })),
    permissions: users.map(([user]) => ({
      user,
      vhost,
      ...(permissionsOfPeople[user] ?? permissionsOf(user as ServiceName)),
    })),
    topic_permissions: users
      .filter(([user]) => permissionsOfPeople[user] === undefined)
      .map(([user]) => ({ user, vhost, ...topicPermissionsOf(user as ServiceName) })),
    exchanges: topology.exchanges.map((exchange) => ({
      ...exchange,
      vhost,
      durable: true,
      auto_delete: false,
      internal: false,
      arguments: {},
    })),
    queues: topology.queues.map((queue) => ({ ...queue, vhost, durable: true, auto_delete: false })),
    bindings: topology.bindings.map(({ source, destination, key }) => ({
      source,
      vhost,
      destination,
      destination_type: 'queue',
      routing_key: key,
      arguments: {},
    })),
  };
}
