// docs/saga.md: the saga read step by step, as a picture, and event by event.
import { eventDefinitions } from '@glasshouse/shared/contracts';
import { orderSaga } from '../../../shared/src/contracts/order-saga.ts';

const short = (service: string) => service.replace('-service', '');

function sagaDiagram(): string {
  const participants = ['order', 'product', 'payment', 'notification'].map((name) => `  participant ${name}`);
  const publisherOf = new Map(eventDefinitions.map((definition) => [definition.type, short(definition.from)]));
  const lines = orderSaga.flatMap((step) => {
    const service = short(step.service);
    const publisher = publisherOf.get(step.on);
    const arrives = publisher === undefined ? [] : [`  ${publisher}-)${service}: ${step.on}`];
    return [...arrives, `  Note over ${service}: ${publisher === undefined ? `${step.on}: ` : ''}${step.handler}`];
  });
  return ['```mermaid', 'sequenceDiagram', ...participants, ...lines, '```'].join('\n');
}

export function sagaPage(): string {
  const steps = orderSaga.map(
    ({ on, service, handler, emits, changes, movesMoney, note }) =>
      `| ${on} | ${service} | \`${handler}\` | ${emits.join(' or ') || '–'} | ${changes ? `${changes.what}; undone by \`${changes.undoneBy}\`` : '–'} | ${note}${movesMoney ? ' **The money moves here.**' : ''} |`,
  );
  const events = eventDefinitions.map(({ type, from, to }) => `| \`${type}\` | ${from} | ${to.join(', ')} |`);
  return `# The order saga

Made by \`npm run generate\` from [the saga table](../shared/src/contracts/order-saga.ts) and [the event contracts](../shared/src/contracts/index.ts).
Nobody conducts: each service reacts to events and tells what it has done. Only order-service decides an order's fate.

## Step by step

| on | service | handler | tells | changes | |
| --- | --- | --- | --- | --- | --- |
${steps.join('\n')}

## As a picture

${sagaDiagram()}

## Every event

| type | from | to |
| --- | --- | --- |
${events.join('\n')}
`;
}
