// The API documents are fresh, valid by their specifications, and their examples are valid by their own schemas.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import specs from '@asyncapi/specs';
import type { OpenApiDocument } from '@glasshouse/shared/http';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { root, staleFiles } from '../../infrastructure/generate/src/files.ts';

const read = (path: string) => JSON.parse(readFileSync(new URL(path, root), 'utf8'));
const documents = [
  'user-service/openapi.json',
  'product-service/openapi.json',
  'order-service/openapi.json',
  'payment-service/openapi.json',
  'notification-service/openapi.json',
  'api-gateway/openapi.json',
];

test('what is generated from the code is not stale', async () => {
  assert.deepEqual(await staleFiles(), [], 'run `npm run generate`');
});

for (const path of documents) {
  test(`${path}: is valid OpenAPI 3.1`, async () => {
    const { valid, errors } = await new Validator().validate(read(path));
    assert.ok(valid, JSON.stringify(errors));
  });

  test(`${path}: every operation has examples that are valid by its schemas, and says what else may come`, () => {
    const document = read(path) as OpenApiDocument;
    const ajv = addFormats.default(new Ajv2020({ strict: false, allErrors: true }));
    ajv.addSchema(document, 'document');
    const assertValid = (what: string, schema: object, example: unknown) => {
      const local = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/'));
      const validate = ajv.compile(local);
      assert.ok(validate(example), `${what}: ${ajv.errorsText(validate.errors)}`);
    };
    const ids = new Set<string>();
    for (const [url, item] of Object.entries(document.paths))
      for (const [method, operation] of Object.entries(item)) {
        const name = `${method} ${url}`;
        assert.ok(!ids.has(operation.operationId), `${name}: two operations are called ${operation.operationId}`);
        ids.add(operation.operationId);
        const body = operation.requestBody as
          | { content: Record<string, { schema: object; example: unknown }> }
          | undefined;
        const contents = [
          ...Object.values(body?.content ?? {}),
          ...Object.values(operation.responses).flatMap((response) => Object.values(response.content ?? {})),
        ];
        for (const { schema, example, examples } of contents as {
          schema: object;
          example?: unknown;
          examples?: Record<string, { $ref: string }>;
        }[]) {
          const codes = Object.keys(examples ?? {});
          const found = codes.map((code) => document.components.examples[code]?.value);
          const all = examples === undefined ? [example] : found;
          assert.ok(all.length > 0 && !all.includes(undefined), `${name}: no example`);
          for (const one of all) assertValid(name, schema, one);
        }
        const isProbe = url === '/health' || url === '/ready';
        const statuses = Object.keys(operation.responses).map(Number);
        assert.ok(isProbe || statuses.includes(503), `${name}: any call may find its service without a database`);
      }
  });
}

test('docs/asyncapi.json: is valid AsyncAPI 3.0, and its examples are valid by its schemas', () => {
  const document = read('docs/asyncapi.json') as {
    components: { messages: Record<string, { payload: object; examples: { payload: unknown }[] }> };
  };
  const ajv = addFormats.default(new Ajv({ strict: false, allErrors: true, validateFormats: false }));
  const schema = (specs as unknown as { schemasWithoutId: Record<string, object> }).schemasWithoutId['3.0.0'];
  assert.ok(schema !== undefined);
  const validate = ajv.compile(schema);
  assert.ok(validate(document), ajv.errorsText(validate.errors));
  const payloads = addFormats.default(new Ajv2020({ strict: false, allErrors: true }));
  for (const [type, { payload, examples }] of Object.entries(document.components.messages)) {
    const isValid = payloads.compile(payload);
    for (const { payload: example } of examples)
      assert.ok(isValid(example), `${type}: ${payloads.errorsText(isValid.errors)}`);
    assert.ok(examples.length > 0, type);
  }
});
