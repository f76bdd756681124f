// The published language: every event type, in one list. A change here is a change of API, and only ever additive.
import type { EventDefinition } from './envelope.ts';
import * as orderEvents from './order-events.ts';
import * as paymentEvents from './payment-events.ts';
import * as productEvents from './product-events.ts';
import * as userEvents from './user-events.ts';

export * from './envelope.ts';
export * from './order-events.ts';
export * from './payment-events.ts';
export * from './product-events.ts';
export * from './types.ts';
export * from './user-events.ts';

export const eventDefinitions: readonly EventDefinition[] = [
  ...Object.values(userEvents),
  ...Object.values(productEvents),
  ...Object.values(orderEvents),
  ...Object.values(paymentEvents),
];

export const definitionsByType: ReadonlyMap<string, EventDefinition> = new Map(
  eventDefinitions.map((definition) => [definition.type, definition]),
);
