// The OpenAPI 3.1 document of a service, made from the very rows and schemas that it serves and checks with: https://spec.openapis.org/oas/v3.1.1
import { z } from 'zod';
import { invalidToken, keysUnavailable } from '../auth/index.ts';
import { reusedKey } from '../resilience/index.ts';
import {
  bodyInvalid,
  bodyMalformed,
  bodyOfUnsupportedType,
  bodyTooLarge,
  databaseUnavailable,
  idempotencyKeyMissing,
  type KnownError,
  problemSchema,
  queryInvalid,
  resourceNotFound,
  roleMissing,
  statusOf,
  tokenMissing,
  toProblem,
} from './problem.ts';
import type { Route } from './route.ts';

type Json = Record<string, unknown>;
export interface RouteDescription extends Omit<Route, 'handle'> {
  /** Whether an older answer may come in the place of one that can't be had; its age tells. */
  mayBeCopy?: boolean;
}

export interface OpenApiDocument {
  openapi: '3.1.1';
  info: { title: string; version: string; description: string; license: { name: string; identifier: string } };
  servers: { url: string; description: string }[];
  tags: { name: string }[];
  /** By path, then by method in lower case. */
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, Json>;
    examples: Record<string, { value: unknown }>;
    securitySchemes: Json;
  };
}

export interface Operation {
  operationId: string;
  summary: string;
  description?: string;
  tags: string[];
  security?: Record<string, string[]>[];
  parameters?: Json[];
  requestBody?: Json;
  responses: Record<
    string,
    { description: string; headers?: Record<string, Header>; content?: Record<string, MediaType> }
  >;
}

interface Header {
  description: string;
  /** Whether every such answer has it. */
  required: boolean;
  schema: Json;
}

interface MediaType {
  schema: Json;
  example?: unknown;
  examples?: Record<string, { $ref: string }>;
}

const EXAMPLE_TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const descriptions: Record<number, string> = {
  200: 'Done.',
  201: 'Made.',
  202: 'Accepted: the rest happens in its own time.',
  204: 'Done; there is nothing to say.',
};

const retryAfter: Header = {
  description: 'How long to wait before the next try, in seconds.',
  required: true,
  schema: { type: 'integer', minimum: 1 },
};
/** What a client should read beside the body, by the status that brings it. */
const headersOf: Record<number, Record<string, Header>> = {
  201: {
    Location: {
      description: 'Where it is found, if it has a place of its own.',
      required: false,
      schema: { type: 'string', format: 'uri-reference' },
    },
  },
  429: { 'Retry-After': retryAfter },
  503: { 'Retry-After': retryAfter },
};
const age: Header = {
  description: 'On a copy, which comes while the service can not be asked: how old it is, in seconds.',
  required: false,
  schema: { type: 'integer', minimum: 0 },
};

const access = {
  anyone: undefined,
  user: 'For whoever has logged in; what belongs to others is a 404.',
  admin: 'Only for admins.',
};

/** What is checked before a handler runs, in that order, and a database that may be gone at any time. */
function checksOf(route: RouteDescription): KnownError[] {
  const problems: KnownError[] = [];
  if (route.access !== 'anyone')
    problems.push(tokenMissing(), invalidToken('The token has expired.'), keysUnavailable(5_000));
  if (route.access === 'admin') problems.push(roleMissing());
  const mayHaveBody = route.method !== 'get';
  if (mayHaveBody) problems.push(bodyOfUnsupportedType(), bodyTooLarge(), bodyMalformed());
  if (route.query !== undefined) problems.push(queryInvalid([{ path: 'page', message: 'is not a known field' }]));
  if (route.idempotent) problems.push(idempotencyKeyMissing(), reusedKey());
  if (mayHaveBody) problems.push(bodyInvalid([{ path: 'nickname', message: 'is not a known field' }]));
  if (/:(id|\w*Id)\b/.test(route.path)) problems.push(resourceNotFound());
  return [...problems, databaseUnavailable()];
}

/** The schema by itself where it has no name, else a reference to the component that it becomes. */
function schemaOf(schema: z.ZodType, components: OpenApiDocument['components']): Json {
  const json = z.toJSONSchema(schema, {
    // Of answers as well: more fields than these may come one day, and whoever reads them should not mind.
    io: 'input',
    override({ zodSchema, jsonSchema }) {
      // The format says it, and shorter.
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
      // Left out by zod where the value is read out of text.
      if (zodSchema instanceof z.ZodDefault) jsonSchema.default = zodSchema.def.defaultValue;
    },
  }) as Json & { $defs?: Record<string, Json> };
  const { $schema: _dialect, $defs = {}, ...own } = json;
  const pointed = (part: unknown): Json =>
    JSON.parse(JSON.stringify(part).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
  for (const [name, definition] of Object.entries($defs)) {
    const found = pointed(definition);
    const known = components.schemas[name];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(found))
      throw new Error(`two schemas are called ${name}`);
    components.schemas[name] = found;
  }
  return pointed(own);
}

const exampleOf = (schema: z.ZodType): { example?: unknown } => {
  const [example] = (schema.meta()?.examples as unknown[] | undefined) ?? [];
  return example === undefined ? {} : { example };
};

/** Problems as answers: one for each status, with an example for each code. */
export function problemResponses(
  problems: readonly KnownError[],
  components: OpenApiDocument['components'],
): Operation['responses'] {
  const byStatus = Map.groupBy(problems, statusOf);
  return Object.fromEntries(
    [...byStatus].map(([status, found]) => {
      const examples: Record<string, { $ref: string }> = {};
      for (const error of found) {
        const problem = toProblem(error, { instance: '/api/v1/…', traceId: EXAMPLE_TRACE_ID });
        components.examples[problem.code] = { value: problem };
        examples[problem.code] = { $ref: `#/components/examples/${problem.code}` };
      }
      const description = found.map((error) => error.message).join(' Or: ');
      const schema = schemaOf(problemSchema, components);
      const headers = headersOf[status];
      return [
        status,
        {
          description,
          ...(headers !== undefined && { headers }),
          content: { 'application/problem+json': { schema, examples } },
        },
      ];
    }),
  );
}

function parametersOf(route: RouteDescription, components: OpenApiDocument['components']): Json[] {
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: /(^id|Id)$/.test(name) ? { type: 'string', format: 'uuid' } : { type: 'string' },
  }));
  const query = route.query && schemaOf(route.query, components);
  const wanted = (query?.required ?? []) as string[];
  const inQuery = Object.entries((query?.properties ?? {}) as Record<string, Json>).map(([name, schema]) => ({
    name,
    in: 'query',
    required: wanted.includes(name),
    schema,
  }));
  const key = {
    name: 'Idempotency-Key',
    in: 'header',
    required: true,
    description: 'The same key with the same body is the same request, however often it comes.',
    schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[\\x20-\\x7e]+$' },
    example: 'c8a2f6d0-order-1',
  };
  return [...inPath, ...inQuery, ...(route.idempotent ? [key] : [])];
}

function describe(route: RouteDescription, components: OpenApiDocument['components']): Operation {
  const parameters = parametersOf(route, components);
  const description = access[route.access];
  const answers = Object.entries(route.answers).map(([status, schema]) => {
    const headers = route.mayBeCopy ? { Age: age } : headersOf[Number(status)];
    return [
      status,
      {
        description: descriptions[Number(status)] ?? 'Done.',
        ...(headers !== undefined && { headers }),
        ...(schema !== null && {
          content: { 'application/json': { schema: schemaOf(schema, components), ...exampleOf(schema) } },
        }),
      },
    ];
  });
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(description !== undefined && { description }),
    tags: [/^(?:\/api)?\/v\d+\/([\w-]+)/.exec(route.path)?.[1] ?? 'auth'],
    ...(route.access !== 'anyone' && { security: [{ accessToken: [] }] }),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body !== undefined && {
      requestBody: {
        required: true,
        content: {
          'application/json': { schema: schemaOf(route.body, components), ...exampleOf(route.body) },
        },
      },
    }),
    responses: {
      ...Object.fromEntries(answers),
      ...problemResponses([...checksOf(route), ...route.problems], components),
    },
  };
}

/** A path as OpenAPI writes it: `/v1/orders/{id}` for `/v1/orders/:id`. */
export const templateOf = (path: string) => path.replace(/:(\w+)/g, '{$1}');

const stateSchema = z
  .looseObject({ status: z.string() })
  .meta({ id: 'State', examples: [{ status: 'ready', database: 'up' }] });

/** What every process answers, whatever it is for. */
function operationsOfEveryProcess(components: OpenApiDocument['components']): OpenApiDocument['paths'] {
  const content = {
    'application/json': { schema: schemaOf(stateSchema, components), ...exampleOf(stateSchema) },
  };
  const tags = ['operations'];
  return {
    '/health': {
      get: {
        operationId: 'getHealth',
        summary: 'Whether the process lives',
        tags,
        responses: { 200: { description: 'It lives.', content } },
      },
    },
    '/ready': {
      get: {
        operationId: 'getReadiness',
        summary: 'Whether requests may be sent here',
        tags,
        responses: {
          200: { description: 'They may.', content },
          503: { description: 'Not now: a condition does not hold, or it is about to stop.', content },
        },
      },
    },
  };
}

/**
 * @param routes the service's URL table
 * @param url where the service is found
 */
export function createOpenApiDocument(options: {
  title: string;
  description: string;
  url: string;
  routes: readonly RouteDescription[];
}): OpenApiDocument {
  const { title, description, url, routes } = options;
  const components: OpenApiDocument['components'] = {
    schemas: {},
    examples: {},
    securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
  };
  const paths: OpenApiDocument['paths'] = {};
  for (const route of routes) {
    const path = templateOf(route.path);
    paths[path] = { ...paths[path], [route.method]: describe(route, components) };
  }
  const all = { ...paths, ...operationsOfEveryProcess(components) };
  const tags = new Set(
    Object.values(all).flatMap((item) => Object.values(item).flatMap((operation) => operation.tags)),
  );
  return {
    openapi: '3.1.1',
    info: { title, version: '1', description, license: { name: 'Apache 2.0', identifier: 'Apache-2.0' } },
    servers: [{ url, description: 'on this machine' }],
    tags: [...tags].map((name) => ({ name })),
    paths: all,
    components,
  };
}
