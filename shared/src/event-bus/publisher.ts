// Publishing that is known to have worked: confirmed by the broker, and routed to at least one queue.
import { EventEmitter, once } from 'node:events';
import type { ConfirmChannel, Options } from 'amqplib';
import type { Broker } from './broker.ts';

export interface Publisher {
  /** Where the broker is. */
  address: Broker['address'];
  /**
   * Resolves when the broker has taken the message and it has reached a queue.
   * Rejects where it was returned, refused, not confirmed within 5 s, or there is no connection: it may have arrived all the same.
   */
  publish(
    exchange: string,
    routingKey: string,
    content: Buffer,
    options: Options.Publish & { messageId: string },
  ): Promise<void>;
  /** Whether publishing is possible: connected, and not told by the broker that it takes no messages for now. */
  isReady(): boolean;
  /** Resolves as soon as publishing is possible; rejects where `signal` comes first. */
  whenReady(signal: AbortSignal): Promise<void>;
  /** Calls `listener` whenever publishing has become possible. */
  onReady(listener: () => void): void;
}

const CONFIRM_TIMEOUT_MS = 5_000;

export class NotPublished extends Error {
  override name = 'NotPublished';
}

export function createPublisher({ publishing, address }: Pick<Broker, 'publishing' | 'address'>): Publisher {
  const events = new EventEmitter<{ ready: [] }>().setMaxListeners(0);
  const pending = new Set<(error: Error) => void>();
  let channel: ConfirmChannel | undefined;

  const returnedBy = new WeakMap<ConfirmChannel, Set<string>>();

  const isReady = () => channel !== undefined && publishing.state() !== 'blocked';
  const tellIfReady = () => {
    if (isReady()) events.emit('ready');
  };

  publishing.onUnblocked(tellIfReady);
  publishing.keepChannel(
    (connection) => connection.createConfirmChannel(),
    async (opened) => {
      const returned = new Set<string>();
      opened.on('return', (message) => returned.add(message.properties.messageId));
      returnedBy.set(opened, returned);
      channel = opened;
      tellIfReady();
    },
    () => {
      channel = undefined;
      for (const reject of [...pending]) reject(new NotPublished('the connection was lost before the confirm'));
    },
  );

  return {
    address,
    isReady,
    async whenReady(signal) {
      if (!isReady()) await once(events, 'ready', { signal });
    },
    onReady: (listener) => void events.on('ready', listener),
    publish(exchange, routingKey, content, options) {
      return new Promise((resolve, reject) => {
        const current = channel;
        if (current === undefined) return reject(new NotPublished('no connection to the broker'));
        if (publishing.state() === 'blocked') return reject(new NotPublished('the broker takes no messages for now'));
        const settle = (error?: Error) => {
          clearTimeout(timer);
          if (!pending.delete(settle)) return;
          if (error) reject(error);
          else resolve();
        };
        const timer = setTimeout(() => settle(new NotPublished('no confirm in time')), CONFIRM_TIMEOUT_MS);
        pending.add(settle);
        // A message that reaches no queue is returned first and confirmed then.
        const onConfirm = (error: unknown) => {
          const wasReturned = returnedBy.get(current)?.delete(options.messageId) === true;
          if (error) settle(error instanceof Error ? error : new NotPublished('refused by the broker'));
          else if (wasReturned) settle(new NotPublished(`no queue takes ${routingKey}`));
          else settle();
        };
        try {
          current.publish(exchange, routingKey, content, { persistent: true, mandatory: true, ...options }, onConfirm);
        } catch (error) {
          settle(error as Error);
        }
      });
    },
  };
}
