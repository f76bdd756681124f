// Requests as nobody sends them who means well, made from the API document and beyond it: as data, so that one that finds something can be made smaller and sent again.
import fc from 'fast-check';
import { type Call, calls, document, needsKey } from './calls.ts';
import { bodySchemaOf, resolveSchema, type Schema } from './wrong-requests.ts';

/** In a body or a path: the id of something that there is. */
export const OWN_PRODUCT = '@product';
export const OWN = '@own';

export interface Hostile {
  operationId: string;
  method: string;
  /** The segment in the place of the id, as it goes out; `OWN`: of something that there is. */
  id: string;
  /** As it goes out. */
  query: string;
  headers: [name: string, value: string][];
  /** In a body of text, `OWN_PRODUCT` stands for a product's id. */
  body: string | undefined;
  damage: Damage;
  who: 'nobody' | 'customer' | 'admin';
  door: 'gateway' | 'service';
  way: Way;
}

/** What becomes of the text of a body. */
const damages = ['none', 'cut', 'more behind it', 'byte order mark', 'not UTF-8', 'UTF-16', '200 kB', '10 MB'] as const;
type Damage = (typeof damages)[number];

/** How the request is put on the wire. What is not whole ends with the end of what the client sends. */
const rawWays = [
  'bytes',
  'chunks',
  'a length too small',
  'a length too large',
  'broken chunks',
  'unended chunks',
  'a length and chunks',
  'two lengths',
  'bare line feeds',
  'a NUL in a header',
  'no host',
  'a path of 20 kB',
  'two thousand headers',
  'an absolute target',
  'a method in lower case',
  'a version that there is not',
  'one more request behind it',
  'rubbish',
] as const;
export type Way = 'fetch' | (typeof rawWays)[number];

const raw = (text: string) => fc.constant(text);
const quoted = (value: unknown) => JSON.stringify(value);
const json = (value: unknown) => fc.constant(quoted(value));
const often = <T>(arbitrary: fc.Arbitrary<T>) => ({ weight: 12, arbitrary });

/** Values that have broken a parser, a query or a template somewhere, as JSON. */
const hostileJson: fc.Arbitrary<string> = fc.oneof(
  fc
    .constantFrom(
      ...[
        null,
        true,
        0,
        -1,
        1.5,
        1e308,
        2 ** 53,
        2 ** 63,
        '',
        ' ',
        '\0',
        'a\0b',
        '\ud800',
        'x\udfff',
        '\u202e',
        'İ',
        '﷽',
      ],
      ...[
        "' or 1=1 --",
        "'; drop table users; --",
        '$where',
        '$ne',
        '{{7*7}}',
        `\${7*7}`,
        '../../etc/passwd',
        '%00',
        'NaN',
      ],
      ...[[], {}, [[[]]], [null], { $gt: '' }, { $ne: null }, { $where: 'sleep(1000)' }, { $expr: { $eq: [1, 1] } }],
      ...[{ constructor: { prototype: { isAdmin: true } } }, { toString: 1 }, { length: -1 }, '__proto__'],
      ...['2026-02-30', '9'.repeat(400), 'é'.repeat(3_000), '😀'.repeat(200), 'a'.repeat(60_000), '(a+)+$', '[', '\\'],
    )
    .map(quoted),
  fc.constantFrom(
    '1e400',
    '-1e400',
    '-0',
    '1e-400',
    '9'.repeat(400),
    `0.${'9'.repeat(400)}`,
    '{"__proto__":{"roles":["admin"]}}',
  ),
  fc.integer({ min: 1, max: 20_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
  fc.integer({ min: 1, max: 5_000 }).map((depth) => '{"a":'.repeat(depth) + 1 + '}'.repeat(depth)),
  fc.jsonValue().map(quoted),
  fc.string({ unit: 'binary' }).map(quoted),
);

const moreFields = fc.tuple(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'id',
    'userId',
    'roles',
    '$where',
    '',
    'a.b',
    'toString',
    'price',
    'name',
  ),
  hostileJson,
);

/** JSON text that the schema allows, most of the time; texts and not values, for not every JSON text is one. */
function textOf(unresolved: Schema): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 30, arbitrary: validTextOf(resolveSchema(unresolved, document)) },
    { weight: 1, arbitrary: hostileJson },
  );
}

function validTextOf(schema: Schema): fc.Arbitrary<string> {
  const { type, properties = {}, required = [], items, minimum, exclusiveMinimum, minLength = 0, maxLength } = schema;
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(textOf));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum).map(quoted);
  if (schema.format === 'uuid')
    return fc.oneof({ weight: 9, arbitrary: json(OWN_PRODUCT) }, { weight: 1, arbitrary: fc.uuid().map(quoted) });
  if (schema.format === 'email') return fc.uuid().map((id) => JSON.stringify(`${id}@example.com`));
  // Of the codes that have the form, few are one.
  if (schema.pattern === '^[A-Z]{3}$') return fc.oneof(often(json('USD')), fc.constantFrom('EUR', 'XXQ').map(quoted));
  if (schema.pattern === '^[A-Z]{2}$') return fc.oneof(often(json('US')), fc.constantFrom('DE', 'QQ').map(quoted));
  if (schema.pattern !== undefined) return fc.stringMatching(new RegExp(schema.pattern)).map(quoted);
  switch (type) {
    case 'object': {
      const fields = Object.entries(properties).map(([name, property]) => {
        const field = textOf(property).map((text): [string, string] => [name, text]);
        return required.includes(name)
          ? fc.oneof({ weight: 60, arbitrary: field }, { weight: 1, arbitrary: fc.constant(undefined) })
          : fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: field });
      });
      const more = fc.oneof(
        { weight: 30, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(moreFields, { maxLength: 2 }) },
      );
      return fc.tuple(fc.tuple(...fields), more).map(([own, others]) => {
        const given = [...own.filter((field) => field !== undefined), ...others];
        return `{${given.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')}}`;
      });
    }
    case 'array':
      return fc
        .oneof(
          often(fc.array(textOf(items ?? {}), { minLength: 1, maxLength: 1 })),
          fc.array(textOf(items ?? {}), { maxLength: 3 }),
        )
        .map((texts) => `[${texts.join(',')}]`);
    case 'integer': {
      const min = Math.max(minimum ?? (exclusiveMinimum ?? 0) + 1, -5);
      return fc.oneof(often(fc.constantFrom(min, min + 1, min + 3, min + 9)), fc.maxSafeInteger()).map(String);
    }
    default: {
      const longest = Math.min(maxLength ?? 40, 40);
      return fc
        .oneof(
          often(fc.string({ minLength, maxLength: longest }).map((value) => value.replace(/^ | $/g, 'x'))),
          fc.string({ minLength, maxLength: longest, unit: 'grapheme' }),
          fc.constantFrom(
            'a\0b',
            '\u0007',
            'x\ud800',
            '\udfffx',
            '\ufffe',
            ' \u00a0 ',
            '\u202ex',
            'é'.repeat(minLength + 1),
          ),
        )
        .map(quoted);
    }
  }
}

/** What stands in a path or a query, as it goes out. */
const hostileText = fc.oneof(
  fc.constantFrom(
    ...[
      '%',
      '%00',
      '%zz',
      '%2e%2e',
      '%2F',
      '%ff',
      '%c0%af',
      '%ed%a0%80',
      '..',
      '.',
      '%5c',
      ';a=1',
      '%20',
      '%0d%0aX: 1',
      '-1',
      '*',
      '~',
    ],
    ...[
      '$where',
      '__proto__',
      'constructor',
      "'%20or%201=1--",
      '[$gt]=',
      'null',
      'undefined',
      'me',
      '0',
      '1e400',
      '%F0%9F%98%80',
    ],
    ...[
      '00000000-0000-0000-0000-000000000000',
      '{id}',
      'x'.repeat(3_000),
      '%25'.repeat(500),
      '%7B%22%24gt%22%3A%22%22%7D',
    ],
  ),
  fc.string({ unit: 'binary' }).map((text) => encodeURIComponent(text.toWellFormed())),
);

function queryOf({ operation }: Call): fc.Arbitrary<string> {
  const names = (operation.parameters ?? []).flatMap(({ name, in: place }) =>
    place === 'query' ? [String(name)] : [],
  );
  const name = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...names, 'nickname') },
    {
      weight: 1,
      arbitrary: fc.constantFrom('limit[]', 'limit[$gt]', '__proto__[a]', 'constructor', '', '%00', '%', 'cursor[0]'),
    },
  );
  const value = fc.oneof(
    fc.constantFrom(
      '1',
      '20',
      '100',
      '101',
      '0',
      'kitchen',
      'price',
      '-price',
      'confirmed',
      'W10',
      'bnVsbA',
      'eyIkZ3QiOiIifQ',
      'IiI',
    ),
    hostileText,
    fc.jsonValue().map((cursor) => Buffer.from(JSON.stringify(cursor)).toString('base64url')),
  );
  const pair = fc.tuple(name, value).map(([left, right]) => `${left}=${right}`);
  return fc.array(pair, { maxLength: 4 }).map((pairs) => pairs.join('&'));
}

const oddHeaders = fc.constantFrom<[string, string]>(
  ['x-request-id', '../../x'],
  ['x-request-id', 'x'.repeat(500)],
  ['traceparent', '00-zz-zz-zz'],
  ['traceparent', `00-${'f'.repeat(32)}-${'0'.repeat(16)}-01`],
  ['tracestate', '='.repeat(600)],
  ['baggage', 'a=b;c,,=,%%'],
  ['x-user-id', '00000000-0000-7000-8000-000000000000'],
  ['x-roles', 'admin'],
  ['x-forwarded-for', `127.0.0.1, ${'9.'.repeat(300)}`],
  ['x-http-method-override', 'DELETE'],
  ['x-original-url', '/v1/users'],
  ['content-encoding', 'gzip'],
  ['content-encoding', 'br'],
  ['content-encoding', 'nonsense'],
  ['accept', 'image/png;q=NaN'],
  ['if-none-match', '*'],
  ['range', 'bytes=0-1,-9'],
  ['cookie', 'x='.repeat(2_000)],
  ['origin', 'null'],
  ['idempotency-key', '__proto__'],
  ['idempotency-key', 'ü'],
  ['idempotency-key', ''],
  ['idempotency-key', "' or 1=1 --"],
  ['authorization', 'Bearer'],
  ['authorization', 'Basic YWRtaW46YWRtaW4='],
  ['authorization', `Bearer ${'a'.repeat(5_000)}`],
  ['authorization', 'Bearer eyJhbGciOiJub25lIn0.e30.'],
  ['authorization', 'Bearer ...'],
  ['content-type', 'text/plain'],
  ['content-type', 'application/json; charset=utf-16'],
  ['content-type', 'application/json; charset=klingon'],
  ['content-type', 'multipart/form-data; boundary='],
  ['content-type', 'application/json, text/plain'],
  ['content-type', ';'],
);

function requestFor(call: Call): fc.Arbitrary<Hostile> {
  const schema = bodySchemaOf(call.operation);
  const mayHaveBody = call.method !== 'GET';
  const body =
    schema === undefined ? fc.constantFrom(undefined, undefined, undefined, '{}', '{"a":1}', 'null') : textOf(schema);
  const some = <T>(usual: T, odd: fc.Arbitrary<T>, weight = 12): fc.Arbitrary<T> =>
    fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: odd });
  const usualHeaders = fc
    .uuid()
    .map((key): [string, string][] => [
      ...(mayHaveBody ? [['content-type', 'application/json'] as [string, string]] : []),
      ...(needsKey(call) ? [['idempotency-key', key] as [string, string]] : []),
    ]);
  const headers = fc
    .tuple(usualHeaders, some([], fc.array(oddHeaders, { minLength: 1, maxLength: 2 }), 4))
    .map(([usual, odd]) => {
      const replaced = new Set(odd.map(([name]) => name));
      return [...usual.filter(([name]) => !replaced.has(name)), ...odd];
    });
  const hasQuery = call.operation.parameters?.some((parameter) => parameter.in === 'query') === true;
  return fc.record<Hostile>({
    operationId: raw(call.operation.operationId),
    method: some(
      call.method,
      fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'QUERY', 'PROPFIND'),
      30,
    ),
    id: some(OWN, hostileText, 8),
    query: hasQuery ? queryOf(call) : some('', queryOf(call)),
    headers,
    body: mayHaveBody ? body : some(undefined, hostileJson, 20),
    damage: fc.oneof(
      { weight: 60, arbitrary: fc.constant<Damage>('none') },
      { weight: 6, arbitrary: fc.constantFrom(...damages.slice(1, -1)) },
      { weight: 1, arbitrary: fc.constantFrom(...damages) },
    ),
    who: fc.constantFrom('nobody', 'customer', 'customer', 'admin', 'admin', 'admin'),
    door: some<Hostile['door']>('gateway', raw('service') as fc.Arbitrary<'service'>, 4),
    way: fc.oneof(
      { weight: 5, arbitrary: raw('fetch') as fc.Arbitrary<Way> },
      { weight: 2, arbitrary: fc.constantFrom('bytes' as const, 'chunks' as const) },
      { weight: 2, arbitrary: fc.constantFrom(...rawWays) },
    ),
  });
}

/** Any of them; calls that hash a password for half a second come less often. */
export const hostileRequest: fc.Arbitrary<Hostile> = fc.oneof(
  ...calls.map((call) => {
    return { weight: /^(registerUser|logIn)$/.test(call.operation.operationId) ? 1 : 4, arbitrary: requestFor(call) };
  }),
);

/** The body's bytes, once the ids are in it. */
export function bytesOf(body: string | undefined, damage: Damage): Buffer | undefined {
  if (body === undefined) return undefined;
  switch (damage) {
    case 'none':
      return Buffer.from(body);
    case 'cut':
      return Buffer.from(body.slice(0, Math.floor(body.length / 2)));
    case 'more behind it':
      return Buffer.from(`${body}]}x`);
    case 'byte order mark':
      return Buffer.from(`\ufeff${body}`);
    case 'not UTF-8':
      return Buffer.concat([
        Buffer.from(body.slice(0, -2)),
        Buffer.from([0xc3, 0x28, 0xff]),
        Buffer.from(body.slice(-2)),
      ]);
    case 'UTF-16':
      return Buffer.from(body, 'utf16le');
    case '200 kB':
      return Buffer.from(body + ' '.repeat(200_000));
    case '10 MB':
      return Buffer.from(body + ' '.repeat(10_000_000));
  }
}
