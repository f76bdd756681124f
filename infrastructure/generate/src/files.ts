// Each generated file: its path from the repository's root, and what has to stand in it.
import { readFile } from 'node:fs/promises';
import { brokerDefinitions } from '@glasshouse/shared/event-bus';
import type { UpstreamName } from '../../../api-gateway/src/http/routes.ts';
import { asyncApiDocument } from './async-api.ts';
import { gatewayDocument, serviceDocument, services } from './open-api.ts';
import { sagaPage } from './saga-page.ts';

export const root = new URL('../../../', import.meta.url);

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

export function generatedFiles(): { path: string; content: string }[] {
  return [
    { path: 'docs/saga.md', content: sagaPage() },
    { path: 'docs/asyncapi.json', content: json(asyncApiDocument()) },
    { path: 'infrastructure/rabbitmq/definitions.json', content: json(brokerDefinitions()) },
    ...(Object.keys(services) as UpstreamName[]).map((name) => ({
      path: `${name}/openapi.json`,
      content: json(serviceDocument(name)),
    })),
    { path: 'api-gateway/openapi.json', content: json(gatewayDocument()) },
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
