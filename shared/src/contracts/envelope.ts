// The shape of every message: a CloudEvents 1.0 envelope around the data of one event type.
import { z } from 'zod';

export const serviceNames = [
  'api-gateway',
  'user-service',
  'product-service',
  'order-service',
  'payment-service',
  'notification-service',
] as const;
export type ServiceName = (typeof serviceNames)[number];

/** What a domain function returns: a fact, not yet stamped with id, time and cause. */
export interface DomainEvent<T extends string = string, D = unknown> {
  type: T;
  subject: string;
  data: D;
}

/** CloudEvents 1.0 (https://github.com/cloudevents/spec), structured mode, with our two extensions. */
export interface CloudEvent<T extends string = string, D = unknown> extends DomainEvent<T, D> {
  specversion: '1.0';
  id: string;
  source: ServiceName;
  /** When the fact was committed, ISO 8601 UTC, by the clock of the database that holds it. */
  time: string;
  datacontenttype: 'application/json';
  dataschema: string;
  /** The request id of the HTTP request that began it all. */
  correlationid: string;
  /** The id of the event that this one answers; absent where a person or a clock was the cause. */
  causationid?: string | undefined;
}

/** One event type: who says it, who listens, and what it carries. */
export interface EventDefinition<T extends string = string, S extends z.ZodType = z.ZodType> {
  type: T;
  from: ServiceName;
  to: readonly ServiceName[];
  schema: S;
  dataschema: string;
  /** The fact as data, checked against the schema. Throws a ZodError where a field is wrong. */
  of(data: z.input<S>): DomainEvent<T, z.output<S>>;
}

export type EventOf<D extends EventDefinition> = CloudEvent<D['type'], z.output<D['schema']>>;

export const envelopeSchema = z.object({
  specversion: z.literal('1.0'),
  id: z.uuid(),
  source: z.enum(serviceNames),
  type: z.string().min(1),
  subject: z.string().min(1),
  time: z.iso.datetime(),
  datacontenttype: z.literal('application/json'),
  dataschema: z.string(),
  correlationid: z.string().min(1),
  causationid: z.uuid().optional(),
  data: z.unknown(),
});

/**
 * Declares an event type. Unknown fields in `data` are dropped, so that a publisher may add fields before its consumers know them.
 * @param subjectOf the id that the fact is about: an order's, a product's, a user's.
 */
export function defineEvent<const T extends string, S extends z.ZodType>(definition: {
  type: T;
  from: ServiceName;
  to: readonly ServiceName[];
  subjectOf: (data: z.output<S>) => string;
  schema: S;
}): EventDefinition<T, S> {
  const { type, from, to, subjectOf, schema } = definition;
  return {
    type,
    from,
    to,
    schema,
    dataschema: `urn:glasshouse:event:${type}`,
    of(input) {
      const data = schema.parse(input);
      return { type, subject: subjectOf(data), data };
    },
  };
}
