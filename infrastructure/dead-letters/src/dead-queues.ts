// The dead-letter queues at the broker: taking what is parked to look at it, and giving back, redriving or dropping it.
//
// A queue can't be read without taking from it. So everything is taken without an ack, and what is neither redriven nor dropped is given
// back at the end, or by the broker itself when this process dies. A quorum queue returns it to where it was, but counts: RabbitMQ 3 each
// time that a message comes back, RabbitMQ 4.3 only where a channel was lost. A message beyond `x-delivery-limit` (1,000) is dead-lettered,
// and for a dead-letter queue that means: to itself. RabbitMQ takes that for a loop and does not deliver it, and as the strategy is
// at-least-once, does not forget it either: it stays in the queue for ever, and nobody is handed it (measured on 3.10 and 4.3). One that was
// *rejected* does go that way, though, and RabbitMQ 3 counts it anew. Hence what was looked at often is rejected instead of returned; it is
// then the last of its queue.
import type { ServiceName } from '@glasshouse/shared/contracts';
import {
  createPublisher,
  deadQueueOf,
  MAIN_KEY,
  originalMessageId,
  type Publisher,
  retryExchangeOf,
} from '@glasshouse/shared/event-bus';
import { type ChannelModel, connect, type GetMessage } from 'amqplib';
import { type DeadLetter, readDeadLetter } from './dead-letter.ts';

/** The broker can't be reached, or refuses. */
export class Unreachable extends Error {
  override name = 'Unreachable';
}

/** A message that was taken and not yet given back. */
export interface Taken {
  letter: DeadLetter;
  message: GetMessage;
}

export interface DeadQueues {
  /** Takes all that is parked for a service now, the oldest first. What somebody else has taken is not seen. */
  take(service: ServiceName): Promise<Taken[]>;
  /**
   * Sends a copy to its service's main queue, and to no other service, as if it had never failed; then removes the message. It is there twice
   * where this process dies in between: consumers know an event that they have handled.
   */
  redrive(taken: Taken): Promise<void>;
  drop(taken: Taken): void;
}

const RENEWED_AFTER = 500;
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Runs `work`, and gives back what it has taken and neither redriven nor dropped.
 * @param url amqp(s)://user:password@host:port/vhost
 * @throws Unreachable, or what `work` throws
 */
export async function withDeadQueues<T>(url: string, work: (queues: DeadQueues) => Promise<T>): Promise<T> {
  const target = new URL(url);
  const place = target.host + target.pathname;
  target.searchParams.set('heartbeat', '5');
  const attempt = async <R>(what: string, action: () => Promise<R>): Promise<R> => {
    try {
      return await action();
    } catch (error) {
      const { message, code } = error as NodeJS.ErrnoException;
      throw new Unreachable(`Can't ${what} at ${place}: ${message || code}`, { cause: error });
    }
  };

  const open = async (role: string): Promise<ChannelModel> => {
    const connection = await attempt('reach the broker', () =>
      connect(target.href, {
        noDelay: true,
        timeout: CONNECT_TIMEOUT_MS,
        clientProperties: { connection_name: `dead-letters ${role}` },
      }),
    );
    // What is under way when the connection or the channel is lost fails and says so.
    connection.on('error', () => {});
    return connection;
  };

  const connection = await open('consumer');
  // Of its own: a broker that takes no messages for now reads nothing from it, and has to hear what is given back.
  let publishing: ChannelModel | undefined;
  try {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    publishing = await open('publisher');
    const publisher = await openPublisher(publishing);
    const held = new Set<GetMessage>();
    const remove = (message: GetMessage) => {
      channel.ack(message);
      held.delete(message);
    };
    /** Neither acks nor nacks are answered: they have arrived when the end of the channel, which is sent after them, is. */
    const giveBack = async () => {
      for (const message of held) channel.nack(message, false, !isWorn(message));
      await channel.close();
    };
    const queues: DeadQueues = {
      async take(service) {
        const queue = deadQueueOf(service);
        const taken: Taken[] = [];
        // As many as there are now: a redriven message that fails at once is parked again, and would come without end.
        for (let left = 1; left > 0; left -= 1) {
          const message = await attempt(`read ${queue}`, () => channel.get(queue));
          if (message === false) break;
          if (taken.length === 0) left += message.fields.messageCount;
          held.add(message);
          taken.push({ message, letter: readDeadLetter(service, message) });
        }
        return taken;
      },
      async redrive({ letter, message }) {
        const { contentType, type, headers, messageId = letter.id } = message.properties;
        await attempt(`redrive ${letter.id}`, () =>
          publisher.publish(retryExchangeOf(letter.service), MAIN_KEY, message.content, {
            messageId: originalMessageId(String(messageId)),
            contentType,
            type,
            headers: { traceparent: headers?.traceparent },
          }),
        );
        remove(message);
      },
      drop: ({ message }) => remove(message),
    };
    let result: T;
    try {
      result = await work(queues);
    } catch (error) {
      // Where the channel has gone as well, the broker gives back by itself.
      await giveBack().catch(() => {});
      throw error;
    }
    await attempt('give back what was looked at', giveBack);
    return result;
  } finally {
    await Promise.allSettled([connection.close(), publishing?.close()]);
  }
}

const isWorn = ({ properties }: GetMessage) => Number(properties.headers?.['x-delivery-count'] ?? 0) >= RENEWED_AFTER;

/** Publishes on this one connection; where it is lost, the tool fails, and does not connect anew. */
async function openPublisher(connection: ChannelModel): Promise<Publisher> {
  const opening: Promise<void>[] = [];
  let isBlocked = false;
  connection.on('blocked', () => {
    isBlocked = true;
  });
  const publisher = createPublisher({
    address: { 'server.address': '', 'server.port': 0 },
    publishing: {
      state: () => (isBlocked ? 'blocked' : 'up'),
      onUnblocked() {},
      keepChannel(open, opened, lost) {
        opening.push(
          open(connection).then((channel) => {
            channel.on('error', () => {});
            channel.on('close', lost);
            return opened(channel);
          }),
        );
      },
    },
  });
  await Promise.all(opening);
  return publisher;
}
