// What component tests stand on: a fresh database, a fresh virtual host, keys to sign tokens with, and waiting for conditions.
// The servers are real; `npm test` starts them and names them in TEST_POSTGRES_URL, TEST_MONGO_URL, TEST_RABBITMQ_URL and TEST_RABBITMQ_MANAGEMENT_URL.
// What a test does not use is not loaded: there are many of them, most in a process of their own.
import { generateKeyPairSync, randomBytes, randomInt, randomUUIDv7 } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import jwt from 'jsonwebtoken';
import type { MongoClient } from 'mongodb';
import type pg from 'pg';
import { ACCESS_TOKEN_TYPE, type Role } from '../auth/index.ts';
import {
  type CloudEvent,
  definitionsByType,
  type EventDefinition,
  type EventOf,
  type ServiceName,
  serviceNames,
} from '../contracts/index.ts';
import { createLogger } from '../logger/index.ts';

export { createTcpProxy, type TcpProxy } from './tcp-proxy.ts';

function serverUrl(name: string): URL {
  const value = process.env[name];
  if (value === undefined)
    throw new Error(`${name} is not set: run the tests with \`npm test -- <file>\`, which starts the servers.`);
  return new URL(value);
}

const uniqueName = () => `test_${randomBytes(6).toString('hex')}`;

/** A logger that says nothing, unless TEST_LOG_LEVEL asks it to. */
export const quietLogger = createLogger({ service: 'test', level: process.env.TEST_LOG_LEVEL ?? 'error' });
quietLogger.silent = process.env.TEST_LOG_LEVEL === undefined;

const FIRST_PAUSE_MS = 20;

/**
 * Resolves with the first value that is neither undefined nor false. An assertion that throws counts as "not yet".
 * It looks again soon at first, then ever more seldom: with many who wait, looking is what keeps a machine busy.
 * @param pauseMs the longest pause before it looks again
 * @throws the last error, or one that names `what`, after `timeoutMs` milliseconds
 */
export async function waitFor<T>(
  what: string,
  condition: () => Promise<T> | T,
  timeoutMs = 60_000,
  pauseMs = 250,
): Promise<Exclude<T, false | undefined>> {
  const endsAt = performance.now() + timeoutMs;
  let failure: unknown;
  let pause = FIRST_PAUSE_MS;
  for (;;) {
    // A last look when the time is over: this process itself may have been kept from looking.
    const isLast = performance.now() >= endsAt;
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value as Exclude<T, false | undefined>;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (isLast) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}`, { cause: failure });
    await delay(pause);
    pause = Math.min(pause * 2, pauseMs);
  }
}

/**
 * A port that nobody listens on, and that stays so while its server is away for a while: it is below those that the system gives to whoever
 * asks for any.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(21_000, 32_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/** A new PostgreSQL database with the migrations of `dir` applied. */
export async function createTestPostgres(dir: string): Promise<{ url: string; pool: pg.Pool; drop(): Promise<void> }> {
  const [{ default: pg }, { migrate }] = await Promise.all([import('pg'), import('../postgres/index.ts')]);
  const admin = serverUrl('TEST_POSTGRES_URL');
  const name = uniqueName();
  const asAdmin = async (statement: string) => {
    const client = new pg.Client(admin.href);
    await client.connect();
    await client.query(statement).finally(() => client.end());
  };
  await asAdmin(`create database ${name}`);
  const target = new URL(admin);
  target.pathname = name;
  await migrate({ url: target.href, dir, logger: quietLogger });
  const pool = new pg.Pool({ connectionString: target.href, max: 5 });
  pool.on('error', () => {});
  return {
    url: target.href,
    pool,
    async drop() {
      await pool.end();
      await asAdmin(`drop database ${name} with (force)`);
    },
  };
}

/** A new MongoDB database. */
export async function createTestMongo(): Promise<{ url: string; client: MongoClient; drop(): Promise<void> }> {
  const { MongoClient } = await import('mongodb');
  const target = serverUrl('TEST_MONGO_URL');
  target.pathname = uniqueName();
  const client = await MongoClient.connect(target.href);
  return {
    url: target.href,
    client,
    async drop() {
      await client.db().dropDatabase();
      await client.close();
    },
  };
}

export interface TestBroker {
  url: string;
  /** Every event that was published since the broker was made, in order of arrival. */
  events: CloudEvent[];
  eventsOf<D extends EventDefinition>(definition: D, subject?: string): EventOf<D>[];
  publish(event: CloudEvent): Promise<void>;
  /** Puts any bytes into a queue. */
  sendToQueue(queue: string, content: Buffer, headers?: Record<string, unknown>): Promise<void>;
  /** Ready and unacknowledged messages of a queue. */
  depth(queue: string): Promise<{ ready: number; unacked: number }>;
  /** Takes one message off a queue. */
  take(
    queue: string,
  ): Promise<{ content: Buffer; headers: Record<string, unknown>; messageId: string | undefined } | undefined>;
  drop(): Promise<void>;
}

/** What `createTestVhost` returns: a virtual host, as an administrator reaches it. */
export interface TestVhost {
  /** amqp://…/name */
  url: string;
  name: string;
  managementUrl: string;
  /** A request to the management API; `path` follows `/api/`. */
  manage(method: string, path: string, body?: unknown): Promise<unknown>;
  drop(): Promise<void>;
}

/** A virtual host of its own, with nothing in it. */
export async function createTestVhost(): Promise<TestVhost> {
  const management = serverUrl('TEST_RABBITMQ_MANAGEMENT_URL');
  const name = uniqueName();
  const authorization = `Basic ${Buffer.from(`${decodeURIComponent(management.username)}:${decodeURIComponent(management.password)}`).toString('base64')}`;
  const manage = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${management.origin}/api/${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.headers.get('content-type')?.includes('json') ? response.json() : undefined;
  };
  await manage('PUT', `vhosts/${name}`);
  await manage('PUT', `permissions/${name}/${management.username}`, { configure: '.*', write: '.*', read: '.*' });
  const url = serverUrl('TEST_RABBITMQ_URL');
  url.pathname = name;
  return {
    url: url.href,
    name,
    managementUrl: management.href,
    manage,
    drop: async () => void (await manage('DELETE', `vhosts/${name}`)),
  };
}

/** A virtual host of its own, with the topology of these services; of all where none is named. A queue costs the broker a hundredth of a second. */
export async function createTestBroker(...services: ServiceName[]): Promise<TestBroker> {
  const [{ connect }, { assertTopology, EVENT_EXCHANGE, topologyOf }, vhost] = await Promise.all([
    import('amqplib'),
    import('../event-bus/index.ts'),
    createTestVhost(),
  ]);
  const connection = await connect(vhost.url, { noDelay: true });
  connection.on('error', () => {});
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange(EVENT_EXCHANGE, 'topic', { durable: true });
  for (const service of services.length > 0 ? services : serviceNames)
    await assertTopology(channel, topologyOf(service));
  const events: CloudEvent[] = [];
  const { queue: tap } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(tap, EVENT_EXCHANGE, '#');
  await channel.consume(tap, (message) => message && events.push(JSON.parse(message.content.toString())), {
    noAck: true,
  });

  return {
    url: vhost.url,
    events,
    eventsOf: <D extends EventDefinition>(definition: D, subject?: string) =>
      events.filter(
        (event) => event.type === definition.type && (subject === undefined || event.subject === subject),
      ) as EventOf<D>[],
    async publish(event) {
      channel.publish(EVENT_EXCHANGE, event.type, Buffer.from(JSON.stringify(event)), {
        persistent: true,
        messageId: event.id,
        contentType: 'application/cloudevents+json',
        headers: { traceparent: `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00` },
      });
      await channel.waitForConfirms();
    },
    async sendToQueue(queue, content, headers = {}) {
      channel.sendToQueue(queue, content, { persistent: true, messageId: randomUUIDv7(), headers });
      await channel.waitForConfirms();
    },
    async depth(queue) {
      const { messages_ready = 0, messages_unacknowledged = 0 } = (await vhost.manage(
        'GET',
        `queues/${vhost.name}/${queue}`,
      )) as Record<string, number>;
      return { ready: messages_ready, unacked: messages_unacknowledged };
    },
    async take(queue) {
      const message = await channel.get(queue, { noAck: true });
      if (message === false) return undefined;
      const { headers = {}, messageId } = message.properties;
      return { content: message.content, headers, messageId };
    },
    async drop() {
      await connection.close();
      await vhost.drop();
    },
  };
}

/** An event as its publisher would send it, checked against its contract. */
export function testEvent<D extends EventDefinition>(
  definition: D,
  data: Parameters<D['of']>[0],
  causationId?: string,
): EventOf<D> {
  const fact = definition.of(data);
  return {
    specversion: '1.0',
    id: randomUUIDv7(),
    source: definition.from,
    type: fact.type,
    subject: fact.subject,
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    dataschema: definitionsByType.get(fact.type)?.dataschema ?? '',
    correlationid: 'test',
    ...(causationId !== undefined && { causationid: causationId }),
    data: fact.data,
  } as EventOf<D>;
}

export interface TestKeys {
  /** A base URL that serves /.well-known/jwks.json, as user-service does. */
  url: string;
  token(userId: string, roles?: Role[], claims?: Record<string, unknown>): string;
  stop(): Promise<void>;
}

/** A key pair, tokens signed with it, and a server that publishes its public half. */
export async function createTestKeys(): Promise<TestKeys> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const kid = 'test-key';
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' }] });
  const server = createServer((_request, response) =>
    response.setHeader('content-type', 'application/json').setHeader('x-test-double', 'true').end(jwks),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: (userId, roles = ['customer'], claims = {}) =>
      jwt.sign({ roles, ...claims }, privateKey, {
        algorithm: 'RS256',
        keyid: kid,
        header: { alg: 'RS256', typ: ACCESS_TOKEN_TYPE },
        subject: userId,
        issuer: 'glasshouse',
        audience: 'glasshouse-api',
        expiresIn: 900,
      }),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface Reply {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into answers of any shape
  body: any;
}

/** Calls JSON over HTTP; the body of an answer is parsed. */
export function createClient(baseUrl: string, defaultHeaders: Record<string, string> = {}) {
  return async (
    method: string,
    path: string,
    options: { body?: unknown; token?: string; headers?: Record<string, string> } = {},
  ): Promise<Reply> => {
    const { body, token, headers } = options;
    const response = await fetch(baseUrl + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...defaultHeaders,
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') === true;
    return {
      status: response.status,
      headers: response.headers,
      body: isJson && text !== '' ? JSON.parse(text) : text,
    };
  };
}
