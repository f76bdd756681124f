// What the component tests share: the service in this process against real servers, a mail server that takes, refuses and fails on demand,
// and a way to cut the database off.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { createDatabase } from '@glasshouse/shared/mongo';
import {
  createClient,
  createTestBroker,
  createTestKeys,
  createTestMongo,
  quietLogger,
  type TestBroker,
  type TestKeys,
} from '@glasshouse/shared/testing';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerError } from 'smtp-server';
import { loadConfig } from '../src/config.ts';
import { createCollections } from '../src/data/collections.ts';
import { createNotificationService } from '../src/service.ts';

export interface Sink {
  url: string;
  /** What was taken over, in order of arrival. */
  mails: Email[];
  about(orderId: string): Email[];
  /** The SMTP reply code for a recipient that is not welcome. */
  refusals: Map<string, number>;
  /** Runs when a mail has arrived whole, before it is taken over. */
  beforeAccepting: (mail: Email) => Promise<void>;
  /** Goes away, connections and all; nothing listens then. */
  close(): Promise<void>;
  /** Comes back at the same address. */
  open(): Promise<void>;
}

const listenOn = async (
  server: { listen(port: number, host: string): unknown },
  emitter: NodeJS.EventEmitter,
  port = 0,
) => {
  server.listen(port, '127.0.0.1');
  await once(emitter, 'listening');
};

function refusal(code: number): SMTPServerError {
  return Object.assign(new Error('not here'), { responseCode: code });
}

/** A mail server in this process. */
export async function createSink(): Promise<Sink> {
  const sockets = new Set<Socket>();
  let port = 0;
  let smtp: SMTPServer | undefined;
  const sink: Sink = {
    url: '',
    mails: [],
    about: (orderId) => sink.mails.filter((mail) => mail.messageId?.startsWith(`<${orderId}.`)),
    refusals: new Map(),
    beforeAccepting: async () => {},
    async open() {
      smtp = new SMTPServer({
        authOptional: true,
        disabledCommands: ['AUTH', 'STARTTLS'],
        disableReverseLookup: true,
        onRcptTo({ address }, _session, done) {
          const code = sink.refusals.get(address);
          done(code === undefined ? null : refusal(code));
        },
        onData(stream, _session, done) {
          buffer(stream)
            .then(async (content) => {
              const mail = await PostalMime.parse(content);
              await sink.beforeAccepting(mail);
              sink.mails.push(mail);
              done();
            })
            .catch(done);
        },
      });
      smtp.on('error', () => {});
      smtp.server.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      });
      await listenOn(smtp, smtp.server, port);
      port = (smtp.server.address() as AddressInfo).port;
      sink.url = `smtp://127.0.0.1:${port}`;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => (smtp === undefined ? resolve() : smtp.close(resolve)));
      smtp = undefined;
    },
  };
  await sink.open();
  return sink;
}

export interface Line {
  url: string;
  cut(): void;
  mend(): void;
  drop(): Promise<void>;
}

/** A line to the database that can be cut: what is on it is lost, and nothing new gets through. */
export async function createLine(databaseUrl: string): Promise<Line> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((inner) => {
    if (isCut) return inner.destroy();
    const outer = connect(Number(target.port), target.hostname);
    for (const [from, to] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.once('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
    return undefined;
  });
  await listenOn(server, server);
  const url = new URL(target);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  url.searchParams.set('directConnection', 'true');
  url.searchParams.delete('replicaSet');
  const cut = () => {
    isCut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: url.href,
    cut,
    mend() {
      isCut = false;
    },
    async drop() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface TestSetup {
  broker: TestBroker;
  keys: TestKeys;
  sink: Sink;
  mongo: Awaited<ReturnType<typeof createTestMongo>>;
  /** The settings of a copy of the service. */
  environment(overrides?: Record<string, string>): Record<string, string>;
  /** Starts a copy of the service. */
  start(overrides?: Record<string, string>): Promise<RunningService>;
  /** Stops all copies and removes all that was made. */
  stop(): Promise<void>;
}

export interface RunningService {
  call: ReturnType<typeof createClient>;
  stop(): Promise<void>;
}

export async function setUp(): Promise<TestSetup> {
  const [broker, keys, sink, mongo] = await Promise.all([
    createTestBroker(),
    createTestKeys(),
    createSink(),
    createTestMongo(),
  ]);
  const database = createDatabase({ url: mongo.url, service: 'notification-service', logger: quietLogger });
  // Twice: a second run of the migration finds everything there.
  await createCollections(database);
  await createCollections(database);
  await database.stop();
  const running = new Set<RunningService>();

  const environment = (overrides: Record<string, string> = {}) => ({
    NODE_ENV: 'test',
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
    PORT: '0',
    MONGO_URL: mongo.url,
    RABBITMQ_URL: broker.url,
    USER_SERVICE_URL: keys.url,
    SMTP_URL: sink.url,
    MAIL_SWEEP_INTERVAL_MS: '200',
    ...overrides,
  });
  return {
    broker,
    keys,
    sink,
    mongo,
    environment,
    async start(overrides) {
      const { service, http } = createNotificationService(loadConfig(environment(overrides)));
      await service.start();
      const copy: RunningService = {
        call: createClient(`http://127.0.0.1:${http.port()}`),
        async stop() {
          running.delete(copy);
          await service.stop();
        },
      };
      running.add(copy);
      return copy;
    },
    async stop() {
      for (const copy of running) await copy.stop();
      await Promise.all([sink.close(), keys.stop(), broker.drop(), mongo.drop()]);
    },
  };
}
