// From a fact of the domain to an event that can travel.
import { randomUUIDv7 } from 'node:crypto';
import { type CloudEvent, type DomainEvent, definitionsByType, type ServiceName } from '../contracts/index.ts';
import { currentCause } from '../telemetry/index.ts';

/** Stamps a fact with its id, time, source and cause, and checks it against its contract. */
export function toCloudEvent(fact: DomainEvent, source: string, time: Date): CloudEvent {
  const definition = definitionsByType.get(fact.type);
  if (definition === undefined || definition.from !== source) throw new Error(`${source} has no event ${fact.type}`);
  const { correlationId, causationId } = currentCause();
  return {
    specversion: '1.0',
    id: randomUUIDv7(),
    source: source as ServiceName,
    type: fact.type,
    subject: fact.subject,
    time: time.toISOString(),
    datacontenttype: 'application/json',
    dataschema: definition.dataschema,
    correlationid: correlationId,
    ...(causationId !== undefined && { causationid: causationId }),
    data: definition.schema.parse(fact.data),
  };
}
