// What is wrong in form, made from what the API document says is right: each has one thing wrong.
import { isDeepStrictEqual } from 'node:util';
import type { OpenApiDocument, Operation } from '@glasshouse/shared/http';

/** What is used of JSON Schema. */
export interface Schema {
  $ref?: string;
  type?: string;
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  enum?: unknown[];
  format?: string;
  pattern?: string;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

export interface WrongBody {
  what: string;
  /** Which field the answer has to name; empty where it is the whole body. */
  path: string;
  body: unknown;
}

/** No number, no date, no id, no code of anything. */
const NONSENSE = 'n/a !';
const UNKNOWN = 'nickname';

export function resolveSchema(schema: Schema, document: OpenApiDocument): Schema {
  const name = schema.$ref?.replace('#/components/schemas/', '');
  return name === undefined ? schema : ((document.components.schemas[name] ?? {}) as Schema);
}

const ofEachType: readonly unknown[] = [null, true, 7, 'x', [], {}];
const typeOf = (value: unknown) =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'array'
      : Number.isInteger(value)
        ? 'integer'
        : typeof value === 'object'
          ? 'object'
          : typeof value;

function outOfBounds(schema: Schema): unknown[] {
  const { minimum, exclusiveMinimum, maximum, minLength = 0, maxLength, minItems = 0, maxItems } = schema;
  return [
    ...(schema.type === 'integer' ? [1.5] : []),
    ...(minimum === undefined ? [] : [minimum - 1]),
    ...(exclusiveMinimum === undefined ? [] : [exclusiveMinimum]),
    ...(maximum === undefined ? [] : [maximum + 1]),
    ...(minLength > 0 ? ['x'.repeat(minLength - 1)] : []),
    ...(maxLength === undefined ? [] : ['x'.repeat(maxLength + 1)]),
    ...((schema.enum ?? schema.pattern ?? (schema.format === 'password' ? undefined : schema.format))
      ? [NONSENSE]
      : []),
    ...(minItems > 0 ? [[]] : []),
    ...(maxItems === undefined ? [] : [Array.from({ length: maxItems + 1 }, () => ({}))]),
  ];
}

/** Values that the schema does not allow: each other type, and what is a little too much or too little. */
function wrongValues(schema: Schema, document: OpenApiDocument): unknown[] {
  const allowed = (schema.anyOf ?? [schema]).map((one) => resolveSchema(one, document));
  // Of several schemas one may allow what another does not.
  const bounds = allowed.length === 1 ? allowed.flatMap(outOfBounds) : [-1];
  return [...ofEachType.filter((value) => !allowed.some(({ type }) => type === typeOf(value))), ...bounds];
}

const inWords = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 40);

function wrongIn(unresolved: Schema, valid: unknown, path: string, document: OpenApiDocument): WrongBody[] {
  const schema = resolveSchema(unresolved, document);
  const at = (name: string | number) => (path === '' ? String(name) : `${path}.${name}`);
  const found: WrongBody[] = wrongValues(schema, document).map((body) => {
    return { what: `${path || 'the body'} is ${inWords(body)}`, path, body };
  });
  if (schema.properties !== undefined) {
    const object = (typeof valid === 'object' ? valid : {}) as Record<string, unknown>;
    found.push({ what: `${at(UNKNOWN)} is not known`, path: at(UNKNOWN), body: { ...object, [UNKNOWN]: 1 } });
    for (const [name, property] of Object.entries(schema.properties)) {
      if (schema.required?.includes(name)) {
        const { [name]: _missing, ...body } = object;
        found.push({ what: `${at(name)} is missing`, path: at(name), body });
      }
      for (const wrong of wrongIn(property, object[name], at(name), document))
        found.push({ ...wrong, body: { ...object, [name]: wrong.body } });
    }
  }
  if (schema.items !== undefined && Array.isArray(valid)) {
    const [first, ...rest] = valid as unknown[];
    for (const wrong of wrongIn(schema.items, first, at(0), document))
      found.push({ ...wrong, body: [wrong.body, ...rest] });
  }
  return found;
}

export const bodySchemaOf = ({ requestBody }: Operation): Schema | undefined =>
  (requestBody?.content as Record<string, { schema: Schema }> | undefined)?.['application/json']?.schema;

/** @param valid a body that is right; a call that needs none takes only an object without fields */
export function wrongBodies(operation: Operation, valid: unknown, document: OpenApiDocument): WrongBody[] {
  const schema = bodySchemaOf(operation) ?? { type: 'object', properties: {} };
  return wrongIn(schema, valid, '', document).filter(({ body }) => !isDeepStrictEqual(body, valid));
}

/** Queries, each with a parameter that is wrong, unknown or there twice. */
export function wrongQueries({ parameters = [] }: Operation): string[] {
  const known = (parameters as { in: string; name: string; schema: Schema }[]).filter(
    (parameter) => parameter.in === 'query',
  );
  const wrong = known.flatMap(({ name, schema }) => [
    // In a query all is text.
    ...[...outOfBounds(schema), ...(schema.type === 'integer' || name === 'cursor' ? [NONSENSE] : [])].map((value) => {
      return new URLSearchParams([[name, String(value)]]);
    }),
    new URLSearchParams([
      [name, '1'],
      [name, '1'],
    ]),
  ]);
  return [...new Set([new URLSearchParams([[UNKNOWN, '1']]), ...wrong].map(String))];
}
