// What a parked message says of itself: read from its headers and, as far as that can be, from its content. Nothing here may fail: what is
// parked is there because somebody could not read it.
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { ServiceName } from '@glasshouse/shared/contracts';
import {
  ATTEMPTS_HEADER,
  deadQueueOf,
  FAILED_AT_HEADER,
  originalMessageId,
  queueOf,
  REASON_HEADER,
} from '@glasshouse/shared/event-bus';
import { traceIdOf } from '@glasshouse/shared/telemetry';
import type { GetMessage } from 'amqplib';
import { z } from 'zod';

export interface DeadLetter {
  service: ServiceName;
  queue: string;
  /** What it is named by: the event's id; where that can't be read, the message's; where it has none either, a hash of the content. */
  id: string;
  /** As it was published first. */
  messageId: string | undefined;
  type: string | undefined;
  /** What the event is about: an order's id, a product's, a user's. */
  subject: string | undefined;
  /** How often it has failed; undefined where nobody counted. */
  attempts: number | undefined;
  reason: string | undefined;
  /** ISO 8601 UTC. */
  failedAt: string | undefined;
  traceId: string | undefined;
  correlationId: string | undefined;
  /** Parsed where it is JSON, else as text. */
  content: unknown;
  /** Only where the content is not text. */
  contentBase64?: string;
}

const maybe = <S extends z.ZodType>(schema: S) => schema.optional().catch(undefined);

const eventSchema = z.object({
  id: maybe(z.uuid()),
  type: maybe(z.string()),
  subject: maybe(z.string()),
  correlationid: maybe(z.string()),
});

const headersSchema = z.object({
  traceparent: maybe(z.string()),
  [ATTEMPTS_HEADER]: maybe(z.number()),
  [REASON_HEADER]: maybe(z.string()),
  [FAILED_AT_HEADER]: maybe(z.string()),
  /** Written by the broker, the last death first: https://www.rabbitmq.com/docs/dlx#effects */
  'x-death': maybe(
    z.array(z.object({ queue: z.string(), reason: z.string(), time: maybe(z.object({ value: z.number() })) })),
  ),
});

/** Reads what the message says of itself; nothing that is wrong with it makes this fail. */
export function readDeadLetter(service: ServiceName, { content: bytes, properties }: GetMessage): DeadLetter {
  const isText = isUtf8(bytes);
  const content = parse(bytes.toString('utf8'));
  const event = eventSchema.safeParse(content).data;
  const headers = headersSchema.parse(properties.headers ?? {});
  const broker = diedBy(service, headers['x-death']);
  const messageId = properties.messageId === undefined ? undefined : originalMessageId(String(properties.messageId));
  return {
    service,
    queue: deadQueueOf(service),
    id: event?.id ?? nameable(messageId) ?? createHash('sha256').update(bytes).digest('hex').slice(0, 16),
    messageId,
    type: event?.type ?? properties.type,
    subject: event?.subject,
    attempts: headers[ATTEMPTS_HEADER],
    reason: broker?.reason ?? headers[REASON_HEADER],
    failedAt: broker?.at ?? headers[FAILED_AT_HEADER],
    traceId: traceIdOf(headers.traceparent ?? '') || undefined,
    correlationId: event?.correlationid,
    content,
    ...(!isText && { contentBase64: bytes.toString('base64') }),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What can be typed in a shell as it stands. */
function nameable(messageId: string | undefined): string | undefined {
  return messageId !== undefined && /^[\w.:-]{1,200}$/.test(messageId) ? messageId : undefined;
}

/**
 * Why the broker itself has parked it, if it has. A copy that the consumer parks has no `x-death`, so one that tells of the main queue is
 * newer than the consumer's own headers, which may be those of an earlier attempt.
 */
function diedBy(service: ServiceName, deaths: z.output<typeof headersSchema>['x-death']) {
  const death = deaths?.find(({ queue }) => queue === queueOf(service));
  if (death === undefined) return undefined;
  const reason =
    death.reason === 'delivery_limit'
      ? 'delivery limit: handed out again and again and never answered, as when the process ends while handling it'
      : `the broker took it out of ${death.queue}: ${death.reason}`;
  return { reason, at: death.time && new Date(death.time.value * 1000).toISOString() };
}
