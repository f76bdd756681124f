// The connection to RabbitMQ: comes back by itself, with everything that was set up on it, and tells the rest whether it is there.
import { type Channel, type ChannelModel, connect, type RecoveringChannelModel } from 'amqplib';
import type { ServiceName } from '../contracts/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import { assertTopology, topologyOf } from './topology.ts';

export interface Broker extends Part {
  service: ServiceName;
  /**
   * Keeps a channel open on each connection that comes, and anew where the broker closes only the channel.
   * Call it before `start`.
   * @param opened is given each new channel
   * @param lost is told when it is gone
   */
  keepChannel<C extends Channel>(
    open: (connection: ChannelModel) => Promise<C>,
    opened: (channel: C) => Promise<void>,
    lost: () => void,
  ): void;
  state(): 'up' | 'blocked' | 'down';
}

/**
 * @param url amqp(s)://user:password@host:port/vhost; the heartbeat is 5 s, whatever the URL says
 */
export function createBroker(options: { url: string; service: ServiceName; logger: Logger }): Broker {
  const { url, service, logger } = options;
  const setups: ((connection: ChannelModel) => Promise<void>)[] = [];
  const losses: (() => void)[] = [];
  let state: 'up' | 'blocked' | 'down' = 'down';
  let model: RecoveringChannelModel | undefined;
  let stopping = false;

  const target = new URL(url);
  target.searchParams.set('heartbeat', '5');

  const setup = async (connection: ChannelModel) => {
    // Without a listener an error of a channel or of the connection would end the process; what follows it is the reconnect.
    connection.on('error', (error) => logger.warn('broker connection error', { error }));
    const channel: Channel = await connection.createChannel();
    channel.on('error', () => {});
    await assertTopology(channel, topologyOf(service));
    await channel.close();
    for (const run of setups) await run(connection);
  };
  const down = () => {
    if (state === 'down') return;
    state = 'down';
    for (const lost of losses) lost();
  };

  return {
    name: 'broker',
    service,
    keepChannel(open, opened, lost) {
      losses.push(lost);
      setups.push(async function setUp(connection): Promise<void> {
        const channel = await open(connection);
        channel.on('error', (error) => logger.warn('channel error', { error }));
        channel.on('close', () => {
          lost();
          // Where the connection has gone as well, the next one sets it up.
          setTimeout(() => setUp(connection).catch(() => {}), 1_000).unref();
        });
        await opened(channel);
      });
    },
    state: () => state,
    async start() {
      // Without `noDelay` one message at a time takes 44 ms on a quorum queue instead of 0.8.
      model = await connect(target.href, {
        noDelay: true,
        timeout: 5_000,
        clientProperties: { connection_name: service },
        recovery: {
          setup,
          waitForConnect: false,
          maxRetries: Number.POSITIVE_INFINITY,
          initialDelay: 200,
          maxDelay: 5_000,
        },
      });
      model.on('connect', () => {
        state = 'up';
        logger.info('broker connected');
      });
      model.on('disconnect', (error) => {
        down();
        if (!stopping) logger.warn('broker connection lost', { error });
      });
      model.on('connect-failed', (error) => logger.warn("can't connect to the broker", { error: error.message }));
      model.on('blocked', (reason) => {
        state = 'blocked';
        logger.warn('the broker takes no messages for now', { reason });
      });
      model.on('unblocked', () => {
        state = 'up';
        logger.info('the broker takes messages again');
      });
      model.on('error', (error) => logger.warn('broker error', { error }));
    },
    async stop() {
      stopping = true;
      await model?.close().catch(() => {});
      down();
    },
  };
}
