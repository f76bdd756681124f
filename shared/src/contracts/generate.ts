// Writes what is derived from the contracts: docs/saga.md and the broker's definitions file. `npm run generate`; a test fails when they are stale.
import { readFile, writeFile } from 'node:fs/promises';
import { brokerDefinitions } from '../event-bus/topology.ts';
import { eventDefinitions } from './index.ts';
import { orderSaga } from './order-saga.ts';

const root = new URL('../../../', import.meta.url);

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

function sagaPage(): string {
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

/** Each generated file: its path from the repository's root, and what has to stand in it. */
export function generatedFiles(): { path: string; content: string }[] {
  return [
    { path: 'docs/saga.md', content: sagaPage() },
    { path: 'infrastructure/rabbitmq/definitions.json', content: `${JSON.stringify(brokerDefinitions(), null, 2)}\n` },
  ];
}

/** The paths of the files that are not as they should be. */
export async function staleFiles(): Promise<string[]> {
  const stale = await Promise.all(
    generatedFiles().map(async ({ path, content }) => {
      const present = await readFile(new URL(path, root), 'utf8').catch(() => undefined);
      return present === content ? [] : [path];
    }),
  );
  return stale.flat();
}

if (import.meta.main) for (const { path, content } of generatedFiles()) await writeFile(new URL(path, root), content);
