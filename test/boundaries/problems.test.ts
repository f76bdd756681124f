// docs/problems.md has a section for each code of an error, with its status, and no other.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { OpenApiDocument } from '@glasshouse/shared/http';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

const found = [...read('docs/problems.md').matchAll(/^### (\S+)\n\n(\d{3})\. /gm)];
const sections = new Map(found.map(([, code = '', status]) => [code, Number(status)]));

test('the code throws no error whose code has no section, and the page has none that the code lacks', () => {
  const thrown = globSync(['shared/src/**/*.ts', '*-service/src/**/*.ts', 'api-gateway/src/**/*.ts'], { cwd: root })
    .filter((file) => !file.endsWith('.test.ts'))
    .flatMap((file) =>
      [...read(file).matchAll(/new (?:AppError|HttpError)\(\s*(?:'[\w-]+'|\d+),\s*['`]([^'`]+)['`]/g)].map(
        ([, code = '']) => code,
      ),
    )
    // The one that is put together: a client of another service.
    .map((code) => (code.startsWith('$') ? 'product-service.unavailable' : code));
  assert.ok(thrown.length > 40, `${thrown.length} were found`);
  assert.equal(sections.size, found.length, 'no code has two sections');
  assert.deepEqual([...sections.keys()].sort(), [...new Set([...thrown, 'internal'])].sort());
});

test('each code has the status that the API document shows it with', () => {
  const { components } = JSON.parse(read('api-gateway/openapi.json')) as OpenApiDocument;
  for (const [code, { value }] of Object.entries(components.examples))
    assert.equal(sections.get(code), (value as { status: number }).status, code);
});
