// The connections to RabbitMQ: they come back by themselves, with everything that was set up on them, and tell the rest whether they are there.
// Short of memory or disk, the broker reads nothing more from a connection that publishes; acks have to come in on another one.
import { type Channel, type ChannelModel, connect, type RecoveringChannelModel } from 'amqplib';
import type { ServiceName } from '../contracts/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { gauge } from '../telemetry/index.ts';
import { assertTopology, topologyOf } from './topology.ts';

/** `blocked`: the broker takes no messages for now. */
export type BrokerState = 'up' | 'blocked' | 'down';

export interface BrokerConnection {
  /**
   * Keeps a channel open on each connection that comes, and anew where the broker closes only the channel.
   * Call it before `start`: a connection without any is not opened.
   * @param opened is given each new channel
   * @param lost is told when it is gone
   */
  keepChannel<C extends Channel>(
    open: (connection: ChannelModel) => Promise<C>,
    opened: (channel: C) => Promise<void>,
    lost: () => void,
  ): void;
  /** The broker blocks a connection when it publishes, not before: until then it is `up`. */
  state(): BrokerState;
  /** Calls `listener` whenever the broker takes messages again. */
  onUnblocked(listener: () => void): void;
}

export interface Broker extends Part {
  service: ServiceName;
  /** Where it is, for spans: https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/ */
  address: { 'server.address': string; 'server.port': number };
  /** For messages out. */
  publishing: BrokerConnection;
  /** For messages in and their acks: nothing may be published here. */
  consuming: BrokerConnection;
  /** Down where either connection is. */
  state(): BrokerState;
}

/**
 * @param url amqp(s)://user:password@host:port/vhost; the heartbeat is 5 s, whatever the URL says
 */
export function createBroker(options: { url: string; service: ServiceName; logger: Logger }): Broker {
  const { service, logger } = options;
  const target = new URL(options.url);
  target.searchParams.set('heartbeat', '5');

  // By both, so that whichever comes first finds what it needs.
  const prepare = async (connection: ChannelModel) => {
    const channel: Channel = await connection.createChannel();
    channel.on('error', () => {});
    await assertTopology(channel, topologyOf(service));
    await channel.close();
  };
  const create = (role: string) => createConnection({ url: target.href, name: `${service} ${role}`, prepare, logger });
  const publishing = create('publisher');
  const consuming = create('consumer');
  const isSecure = target.protocol === 'amqps:';
  const state = () => {
    const states = [publishing, consuming].filter((one) => one.isUsed()).map((one) => one.state());
    return states.find((state) => state === 'down') ?? states.find((state) => state === 'blocked') ?? 'up';
  };
  gauge('glasshouse.broker.up', '1', 'Whether the broker takes and gives messages.', () => [
    [state() === 'up' ? 1 : 0],
  ]);

  return {
    name: 'broker',
    service,
    address: { 'server.address': target.hostname, 'server.port': Number(target.port || (isSecure ? 5671 : 5672)) },
    publishing,
    consuming,
    state,
    async start() {
      await Promise.all([publishing.start(), consuming.start()]);
    },
    async stop() {
      await Promise.all([publishing.stop(), consuming.stop()]);
    },
  };
}

/**
 * @param name as the broker's management page shows it
 * @param prepare is run on each new connection before anything else
 */
function createConnection(options: {
  url: string;
  name: string;
  prepare: (connection: ChannelModel) => Promise<void>;
  logger: Logger;
}) {
  const { url, name, prepare, logger } = options;
  const setups: ((connection: ChannelModel) => Promise<void>)[] = [];
  const losses: (() => void)[] = [];
  const relieved: (() => void)[] = [];
  let isUp = false;
  let isBlocked = false;
  let model: RecoveringChannelModel | undefined;
  let stopping = false;

  const setup = async (connection: ChannelModel) => {
    // Without a listener an error of a channel or of the connection would end the process; what follows it is the reconnect.
    connection.on('error', (error) => logger.warn('broker connection error', { connection: name, error }));
    isBlocked = false;
    let isGone = false;
    connection.on('close', () => {
      isGone = true;
    });
    connection.on('blocked', (reason) => {
      isBlocked = true;
      logger.warn('the broker takes no messages for now', { connection: name, reason });
    });
    connection.on('unblocked', () => {
      isBlocked = false;
      logger.info('the broker takes messages again', { connection: name });
      for (const listener of relieved) listener();
    });
    await prepare(connection);
    for (const run of setups) await run(connection);
    // The library listens for the end of a connection only once it is set up: one that has ended by then would be kept for ever.
    if (isGone) throw new Error('the connection was lost while it was set up');
  };
  const down = () => {
    if (!isUp) return;
    isUp = false;
    for (const lost of losses) lost();
  };

  const connection: BrokerConnection = {
    keepChannel(open, opened, lost) {
      losses.push(lost);
      setups.push(async function setUp(connection): Promise<void> {
        const channel = await open(connection);
        channel.on('error', (error) => logger.warn('channel error', { connection: name, error }));
        channel.on('close', () => {
          lost();
          // Where the connection has gone as well, the next one sets it up.
          setTimeout(() => setUp(connection).catch(() => {}), 1_000).unref();
        });
        await opened(channel);
      });
    },
    state() {
      if (!isUp) return 'down';
      return isBlocked ? 'blocked' : 'up';
    },
    onUnblocked: (listener) => relieved.push(listener),
  };
  return {
    ...connection,
    isUsed: () => setups.length > 0,
    async start() {
      if (setups.length === 0) return;
      // Without `noDelay` one message at a time takes 44 ms on a quorum queue instead of 0.8.
      model = await connect(url, {
        noDelay: true,
        timeout: 5_000,
        clientProperties: { connection_name: name },
        recovery: {
          setup,
          waitForConnect: false,
          maxRetries: Number.POSITIVE_INFINITY,
          initialDelay: 200,
          maxDelay: 5_000,
        },
      });
      model.on('connect', () => {
        isUp = true;
        logger.info('broker connected', { connection: name });
      });
      model.on('disconnect', (error) => {
        down();
        if (!stopping) logger.warn('broker connection lost', { connection: name, error });
      });
      model.on('connect-failed', ({ message }) =>
        logger.warn("can't connect to the broker", { connection: name, error: message }),
      );
      model.on('error', (error) => logger.warn('broker error', { connection: name, error }));
    },
    async stop() {
      stopping = true;
      await model?.close().catch(() => {});
      down();
    },
  };
}
