// How many messages are in the platform's queues, as RabbitMQ's management API says.
//
// What is relied on (https://www.rabbitmq.com/docs/management#statistics, measured on RabbitMQ 3.10 and 4.3): the leader of a quorum queue
// counts its ready and unacknowledged messages once every `quorum_tick_interval` (5 s unless set otherwise). The list with `disable_stats` and
// `enable_queue_totals` reads these counts as they are, so they are at most one tick old. The usual view of a queue goes through the
// statistics collector on top and was up to 7 s old, and 5 s even with a tick of 1 s; the view of a single queue has no totals. `messages`
// is more than ready and unacknowledged: a message on its way to a dead-letter exchange that can't take it is in neither.
import { fullTopology } from '@glasshouse/shared/event-bus';
import { z } from 'zod';
import { getJson } from './http.ts';
import { reading } from './source.ts';

export interface Queue {
  name: string;
  /** All that are in it, whoever may take them; undefined where the queue does not exist or its length is not known. */
  messages: number | undefined;
}

const queuesSchema = z.array(z.object({ name: z.string(), messages: z.int().optional() }));

/** Every queue of the platform: main, retry and dead ones. */
export function readQueues(url: string, vhost: string): Promise<Queue[]> {
  return reading("RabbitMQ's management API", url, async () => {
    const path = `/api/queues/${encodeURIComponent(vhost)}?disable_stats=true&enable_queue_totals=true`;
    const found = new Map(queuesSchema.parse(await getJson(url, path)).map((queue) => [queue.name, queue]));
    return fullTopology().queues.map(({ name }) => ({ name, messages: found.get(name)?.messages }));
  });
}
