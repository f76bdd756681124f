// docs/asyncapi.json: every event, who sends and who receives it, as AsyncAPI 3 has it: https://www.asyncapi.com/docs/reference/specification/v3.0.0
import { readFileSync } from 'node:fs';
import { type EventDefinition, envelopeSchema, eventDefinitions } from '@glasshouse/shared/contracts';
import { consumingServices, EVENT_EXCHANGE, queueOf } from '@glasshouse/shared/event-bus';
import { z } from 'zod';

const CONTENT_TYPE = 'application/cloudevents+json';
const examples = new URL('../../../shared/src/contracts/examples/', import.meta.url);

const keyed = <V>(entries: (readonly [string, V])[]): Record<string, V> => Object.fromEntries(entries);
const messageRef = (type: string) => ({ $ref: `#/components/messages/${type}` });

function messageOf({ type, from, schema, dataschema }: EventDefinition) {
  const payload = envelopeSchema.extend({
    type: z.literal(type),
    source: z.literal(from),
    dataschema: z.literal(dataschema),
    data: schema,
  });
  // What comes in may have more fields than these: a change is only ever additive.
  const { $schema: _dialect, ...json } = z.toJSONSchema(payload, {
    io: 'input',
    override({ jsonSchema }) {
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
    },
  });
  return {
    name: type,
    title: type,
    contentType: CONTENT_TYPE,
    headers: {
      type: 'object',
      properties: { traceparent: { type: 'string', description: 'W3C Trace Context of what caused the event' } },
    },
    payload: json,
    examples: [{ payload: JSON.parse(readFileSync(new URL(`${type}.json`, examples), 'utf8')) as unknown }],
  };
}

export function asyncApiDocument() {
  const exchange = { name: EVENT_EXCHANGE, type: 'topic', durable: true, autoDelete: false, vhost: '/' };
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Glasshouse events',
      version: '1',
      description:
        'CloudEvents 1.0 over one RabbitMQ topic exchange; the routing key is the type. Each service has one queue, which gets what it acts on. At least once, in no promised order.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: CONTENT_TYPE,
    servers: { broker: { host: 'localhost:5672', protocol: 'amqp', description: 'RabbitMQ' } },
    channels: {
      ...keyed(
        eventDefinitions.map(({ type }) => [
          type,
          {
            address: type,
            messages: { [type]: messageRef(type) },
            bindings: { amqp: { is: 'routingKey', exchange } },
          },
        ]),
      ),
      ...keyed(
        consumingServices.map((service) => [
          queueOf(service),
          {
            address: queueOf(service),
            messages: keyed(
              eventDefinitions.filter(({ to }) => to.includes(service)).map(({ type }) => [type, messageRef(type)]),
            ),
            bindings: {
              amqp: {
                is: 'queue',
                queue: { name: queueOf(service), durable: true, exclusive: false, autoDelete: false, vhost: '/' },
              },
            },
          },
        ]),
      ),
    },
    operations: {
      ...keyed(
        eventDefinitions.map(({ type, from }) => [
          `send ${type}`,
          { action: 'send', channel: { $ref: `#/channels/${type}` }, summary: `${from} tells of it.` },
        ]),
      ),
      ...keyed(
        consumingServices.map((service) => [
          `receive at ${service}`,
          { action: 'receive', channel: { $ref: `#/channels/${queueOf(service)}` }, summary: `${service} acts on it.` },
        ]),
      ),
    },
    components: { messages: keyed(eventDefinitions.map((definition) => [definition.type, messageOf(definition)])) },
  };
}
