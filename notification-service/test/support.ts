// The real service in process, on a database and a virtual host of its own, with a mail server that the tests play.
import { randomUUIDv7 } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import {
  type CloudEvent,
  orderCancelled,
  orderConfirmed,
  orderDelivered,
  orderShipped,
  paymentRefunded,
  userRegistered,
} from '@glasshouse/shared/contracts';
import { createDatabase } from '@glasshouse/shared/mongo';
import {
  createClient,
  createTestBroker,
  createTestKeys,
  createTestMongo,
  freePort,
  quietLogger,
  testEvent,
  waitFor,
} from '@glasshouse/shared/testing';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';
import { loadConfig } from '../src/config.ts';
import { createCollections } from '../src/data/collections.ts';
import { createNotificationService } from '../src/service.ts';

/** A mail server that takes, refuses and goes away as it is told. */
async function startMailServer() {
  const mails: Email[] = [];
  const sockets = new Set<Socket>();
  let smtp: SMTPServer | undefined;
  const port = await freePort();
  const mailServer = {
    url: '',
    /** What was taken, in order of arrival. */
    mails,
    about: (orderId: string) => mails.filter((mail) => mail.messageId?.startsWith(`<${orderId}.`)),
    /** The reply code for a recipient who is not welcome. */
    refusals: new Map<string, number>(),
    /** Runs when a mail has arrived whole, before it is taken. */
    beforeTaking: async (_mail: Email): Promise<void> => {},
    /** Listens, always at the same address. */
    async open() {
      const server = new SMTPServer({
        authOptional: true,
        disabledCommands: ['AUTH', 'STARTTLS'],
        disableReverseLookup: true,
        onRcptTo({ address }, _session, done) {
          const responseCode = mailServer.refusals.get(address);
          done(responseCode === undefined ? null : Object.assign(new Error('not here'), { responseCode }));
        },
        onData(stream, _session, done) {
          const take = async () => {
            const mail = await PostalMime.parse(await buffer(stream));
            await mailServer.beforeTaking(mail);
            mails.push(mail);
          };
          take().then(() => done(), done);
        },
      });
      server.on('error', () => {});
      server.server.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      });
      server.listen(port, '127.0.0.1');
      await once(server.server, 'listening');
      mailServer.url = `smtp://127.0.0.1:${port}`;
      smtp = server;
    },
    /** Goes away, with all its connections. */
    async close() {
      const server = smtp;
      smtp = undefined;
      if (server === undefined) return;
      const closed = new Promise<void>((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  await mailServer.open();
  return mailServer;
}

interface MailJson {
  id: string;
  orderId: string;
  occasion: string;
  channel: string;
  to: string;
  subject: string;
  status: string;
  createdAt: string;
  sentAt?: string;
}

export async function createWorld() {
  const [broker, keys, mailServer, mongo] = await Promise.all([
    createTestBroker('notification-service'),
    createTestKeys(),
    startMailServer(),
    createTestMongo(),
  ]);
  const database = createDatabase({ url: mongo.url, service: 'notification-service', logger: quietLogger });
  // A second run of the migration finds everything there.
  for (const _run of [1, 2]) await createCollections(database);
  await database.stop();
  const running = new Set<() => Promise<void>>();

  const settings = (overrides: Record<string, string> = {}): Record<string, string> => ({
    NODE_ENV: 'test',
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
    PORT: '0',
    MONGO_URL: mongo.url,
    RABBITMQ_URL: broker.url,
    USER_SERVICE_URL: keys.url,
    SMTP_URL: mailServer.url,
    MAIL_SWEEP_INTERVAL_MS: '100',
    ...overrides,
  });

  /** A copy of the service, ready for requests. */
  const start = async (overrides: Record<string, string> = {}): Promise<Running> => {
    const { service, http } = createNotificationService(loadConfig(settings(overrides)));
    await service.start();
    const stop = async () => {
      running.delete(stop);
      await service.stop();
    };
    running.add(stop);
    const url = `http://127.0.0.1:${http.port()}`;
    return { url, call: createClient(url), stop };
  };

  /** What the user is shown. */
  const listed = async (service: Running, userId: string): Promise<MailJson[]> => {
    const { body } = await service.call('GET', '/v1/notifications?limit=100', { token: keys.token(userId) });
    return body.items;
  };

  return {
    broker,
    keys,
    mailServer,
    mongo,
    settings,
    start,
    listed,

    /** Sends events, one after the other. */
    async tell(...events: CloudEvent[]) {
      for (const event of events) await broker.publish(event);
    },

    /** The user's mails, once there are `count` of them, all sent. */
    sent: (service: Running, userId: string, count: number): Promise<MailJson[]> =>
      waitFor(`${count} mails are sent`, async () => {
        const mails = await listed(service, userId);
        return mails.length === count && mails.every((mail) => mail.status === 'sent') && mails;
      }),

    async stop() {
      await Promise.all([...running].map((stop) => stop()));
      await Promise.all([broker.drop(), keys.stop(), mailServer.close(), mongo.drop()]);
    },
  };
}

export interface Running {
  url: string;
  call: ReturnType<typeof createClient>;
  stop(): Promise<void>;
}
export type World = Awaited<ReturnType<typeof createWorld>>;

export const usd = (amount: number) => ({ amount, currency: 'USD' });

export function aCustomer() {
  const userId = randomUUIDv7();
  return { userId, email: `${userId}@example.com`, name: 'Ann Smith', version: 1 };
}

/** Everything that can be told to a customer about one order. */
export const eventsAbout = (userId: string, orderId: string) => ({
  confirmed: testEvent(orderConfirmed, {
    orderId,
    userId,
    items: [
      { productId: randomUUIDv7(), quantity: 2, unitPrice: usd(1_999) },
      { productId: randomUUIDv7(), quantity: 1, unitPrice: usd(123_456) },
    ],
    total: usd(127_454),
  }),
  cancelled: testEvent(orderCancelled, { orderId, userId, cancelReason: 'customer' }),
  shipped: testEvent(orderShipped, { orderId, userId }),
  delivered: testEvent(orderDelivered, { orderId, userId }),
  refunded: testEvent(paymentRefunded, {
    orderId,
    userId,
    paymentId: randomUUIDv7(),
    refundId: randomUUIDv7(),
    amount: usd(127_454),
    cause: 'cancel',
  }),
});

export const shipped = (userId: string, orderId: string) => testEvent(orderShipped, { orderId, userId });

export const registered = (customer: Parameters<(typeof userRegistered)['of']>[0]) =>
  testEvent(userRegistered, customer);

/** Every order in which `items` can stand. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]));
}
