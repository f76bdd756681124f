// Holds answers of the API against the OpenAPI document.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenApiDocument, Operation } from '@glasshouse/shared/http';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const documentFile = join(import.meta.dirname, '../../api-gateway/openapi.json');

/** The document of the whole API. */
export function readDocument(): OpenApiDocument {
  return JSON.parse(readFileSync(documentFile, 'utf8')) as OpenApiDocument;
}

interface Described {
  operation: Operation;
  path: RegExp;
  method: string;
}

function readOperations(document: OpenApiDocument): Described[] {
  const described = Object.entries(document.paths).flatMap(([template, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      operation,
      method: method.toUpperCase(),
      // A service serves the same path without `/api`.
      path: new RegExp(
        `^(/api)?${template
          .replace(/^\/api/, '')
          .replaceAll('.', '\\.')
          .replace(/\{\w+\}/g, '[^/]+')}$`,
      ),
    })),
  );
  // A path that is written out goes before one that only has the shape.
  return described.sort((a, b) => Number(a.path.source.includes('[^/]')) - Number(b.path.source.includes('[^/]')));
}

/** Clients should not mind fields that they don't know; here one that is not described is a mistake. */
function closed<T>(document: T): T {
  const close = (_key: string, part: unknown) =>
    typeof part === 'object' && part !== null && 'properties' in part && 'type' in part && part.type === 'object'
      ? { additionalProperties: false, ...part }
      : part;
  return JSON.parse(JSON.stringify(document), close) as T;
}

/**
 * Checks answers against the document.
 * @throws where an answer is not as it says
 */
export function createContractCheck(document: OpenApiDocument) {
  const operations = readOperations(document);
  const ajv = addFormats.default(new Ajv2020({ strict: false }));
  ajv.addSchema(closed(document), 'document');
  const validators = new Map<string, ValidateFunction>();
  const validatorOf = (name: string, schema: object): ValidateFunction => {
    const known = validators.get(name);
    if (known !== undefined) return known;
    const made = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/')) as object);
    validators.set(name, made);
    return made;
  };

  return {
    /** The operation that a request is for, if it is one. */
    find(method: string, path: string): Operation | undefined {
      const wanted = method === 'HEAD' ? 'GET' : method;
      return operations.find((described) => described.method === wanted && described.path.test(path))?.operation;
    },
    /** @param answer.isBodyKnown whether this body was found to be right before, with this status and media type */
    check(
      operation: Operation,
      answer: { status: number; headers: Headers; text: string; isBodyKnown?: boolean },
    ): void {
      const { status, headers, text, isBodyKnown = false } = answer;
      const fail = (what: string): never => {
        throw new Error(
          `${operation.operationId}, ${status}: ${what}, says api-gateway/openapi.json\n${text.slice(0, 500)}`,
        );
      };
      const described = operation.responses[status] ?? fail('there is no such answer');
      for (const [name, { required, schema }] of Object.entries(described.headers ?? {})) {
        const value = headers.get(name);
        if (value === null && required) fail(`${name} is missing`);
        if (value !== null && schema.type === 'integer' && !/^\d+$/.test(value)) fail(`${name} is no number`);
      }
      if (described.content === undefined) {
        if (text !== '') fail('the answer has no body');
        return;
      }
      const type = headers.get('content-type')?.split(';')[0] ?? 'none';
      const { schema, examples } = described.content[type] ?? fail(`the body is not ${type}`);
      if (isBodyKnown || !type.endsWith('json')) return;
      const body = JSON.parse(text) as { code?: string };
      const validate = validatorOf(`${operation.operationId} ${status} ${type}`, schema);
      if (!validate(body)) fail(ajv.errorsText(validate.errors));
      // Every problem is there with its code.
      if (examples !== undefined && !(String(body.code) in examples)) fail(`there is no ${body.code}`);
    },
  };
}

/** Every answer in the document, as the lines in which it is noted when it is seen. */
export function answersOf(document: OpenApiDocument): string[] {
  return Object.values(document.paths).flatMap((item) =>
    Object.values(item).flatMap(({ operationId, responses }) =>
      Object.keys(responses).map((status) => `${operationId} ${status}`),
    ),
  );
}
