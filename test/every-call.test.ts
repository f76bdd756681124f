// Every operation of the API document, on a running platform: who may call it, and what is refused. A new one without its row fails.
import assert from 'node:assert/strict';
import { randomUUID, randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Operation, Problem } from '@glasshouse/shared/http';
import type { Platform } from '../infrastructure/local/src/platform.ts';
import {
  type Actor,
  type Call,
  calls,
  createWorld,
  type Door,
  document,
  doorsOf,
  makeCall,
  needsKey,
  type Request,
  type Row,
  rows,
  type World,
} from './support/calls.ts';
import { forgeTokens, readSigningKey } from './support/forged-tokens.ts';
import { startSharedPlatform } from './support/platform.ts';
import { wrongBodies, wrongQueries } from './support/wrong-requests.ts';

let platform: Platform;
let world: World;
/** An admin's token made here, and what is not one. */
let tokens: ReturnType<typeof forgeTokens>;

before(async () => {
  platform = await startSharedPlatform({ portOffset: 5_100 });
  world = await createWorld(platform);
  const { body } = await world.shop.call('POST', '/api/v1/auth/login', {
    body: { email: 'admin@example.com', password: 'admin-password' },
  });
  tokens = forgeTokens(await readSigningKey(platform), body.accessToken, body.refreshToken);
});
after(async () => {
  await platform?.stop();
});

test('every operation of the document has its row', () => {
  assert.deepEqual(Object.keys(rows).sort(), calls.map(({ operation }) => operation.operationId).sort());
});

test('a token that is signed as these are and has nothing wrong is taken', async () => {
  const { status } = await world.shop.call('GET', '/api/v1/users', { token: tokens.good });
  assert.equal(status, 200);
});

for (const call of calls) {
  const { operationId } = call.operation;
  const row = rows[operationId];
  if (row === undefined) continue;

  test(`${operationId}: who may do it, at the gateway and behind it`, async () => {
    const { actors } = world;
    // Where anyone may call, nobody looks at the token: one bad one shows it.
    const { expired } = tokens.forged;
    const strangers = { nobody: undefined, ...(call.isOpen ? { expired } : tokens.forged) };
    const callers = [
      ...Object.entries(strangers).map(([name, token]) => {
        return { name, token, actor: undefined, expected: call.isOpen ? row.owner : 401 };
      }),
      ...(['other', 'owner', 'admin'] as const).map((actor) => {
        return { name: actor, token: actors[actor].token, actor, expected: row[actor] };
      }),
    ];
    const expected: Record<string, number> = {};
    const got: Record<string, number> = {};
    for (const door of doorsOf(call, platform)) {
      let request: Request | undefined;
      for (const caller of callers) {
        request ??= await row.prepare(world);
        const { status, body } = await makeCall(door, call, request, caller);
        const place = `${caller.name} at ${door.name}`;
        expected[place] = caller.expected;
        got[place] = status;
        if (status >= 300) continue;
        request = undefined;
        const { actor } = caller as { actor?: Actor };
        if (actor !== undefined && row.shows !== undefined)
          assert.ok(row.shows(body, actor, world), `${place} sees ${JSON.stringify(body)}`);
      }
    }
    assert.deepEqual(got, expected);
  });
}

const MAX_BODY_BYTES = 100_000;
const TOO_LARGE = Buffer.alloc(MAX_BODY_BYTES + 1, '{');

/** A request as it goes out. */
interface Sent {
  method: string;
  path: string;
  query?: string;
  headers: Record<string, string>;
  body?: string | Buffer;
}

async function send(door: Door, { method, path, query, headers, body }: Sent) {
  const response = await fetch(`${door.url}${path}${query === undefined ? '' : `?${query}`}`, {
    method,
    headers,
    // As bytes: text would be declared as such.
    ...(body !== undefined && { body: Buffer.from(body) }),
  });
  const text = await response.text();
  const isProblem = response.headers.get('content-type') === 'application/problem+json; charset=utf-8';
  const problem = isProblem ? (JSON.parse(text) as Problem) : undefined;
  return {
    status: response.status,
    code: problem?.code,
    errors: problem?.errors ?? [],
    allow: response.headers.get('allow'),
  };
}

/** Whom the call lets in. */
const tokenFor = (row: Row) => (row.owner < 300 ? world.actors.owner.token : world.actors.admin.token);

/** The call with nothing wrong. */
function rightRequest(call: Call, row: Row, door: Door, { id, query, body }: Request): Sent {
  return {
    method: call.method,
    path: door.pathOf(call, id),
    ...(query && { query: String(new URLSearchParams(query)) }),
    headers: {
      ...(!call.isOpen && { authorization: `Bearer ${tokenFor(row)}` }),
      ...(needsKey(call) && { 'idempotency-key': randomUUID() }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
}

const without = (headers: Record<string, string>, name: string) =>
  Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name));
const withBody = (sent: Sent, body: string | Buffer, contentType = 'application/json'): Sent => ({
  ...sent,
  body,
  headers: { ...sent.headers, 'content-type': contentType },
});

interface Wrong {
  what: string;
  sent: Sent;
  status: number;
  code: string;
  /** The field that the answer has to name. */
  path?: string;
}

/** All that can be wrong in form with a call, one at a time: as far as the document says that it is refused. */
function wrongRequests(call: Call, right: Sent, door: Door, request: Request): Wrong[] {
  const { operation } = call;
  const codes = codesOf(operation);
  const wrong = (code: string, status: number, sents: [what: string, sent: Sent, path?: string][]): Wrong[] =>
    codes.has(code) ? sents.map(([what, sent, path]) => ({ what, sent, status, code, ...(path && { path }) })) : [];
  const { headers } = right;
  const key = (value: string) => ({ ...right, headers: { ...headers, 'idempotency-key': value } });
  const body = right.body ?? '{}';
  return [
    ...wrong(
      'body.malformed',
      400,
      ['{', 'nonsense', `${body}x`, `{"a":1e}`].map((text) => [`the body ${text}`, withBody(right, text)]),
    ),
    ...wrong(
      'query.invalid',
      400,
      wrongQueries(operation).map((query) => [`the query ${query}`, { ...right, query }]),
    ),
    ...wrong('idempotency-key.missing', 400, [
      ['no key', { ...right, headers: without(headers, 'idempotency-key') }],
      ['an empty key', key('')],
      ['a key that is too long', key('x'.repeat(256))],
      ['a key that is not ASCII', key('schlüssel')],
    ]),
    ...wrong('resource.not-found', 404, [
      ['an id that is no UUID', { ...right, path: door.pathOf(call, 'nonsense') }],
      ['an id that is nearly a UUID', { ...right, path: door.pathOf(call, `${randomUUIDv7().slice(0, -1)}g`) }],
    ]),
    ...wrong('body.too-large', 413, [['too large', withBody(right, TOO_LARGE)]]),
    ...wrong('body.unsupported-type', 415, [
      ['text', withBody(right, body, 'text/plain')],
      ['an unknown charset', withBody(right, body, 'application/json; charset=klingon')],
      ['of no type', { ...withBody(right, body), headers: without(headers, 'content-type') }],
    ]),
    ...wrong(
      'body.invalid',
      422,
      wrongBodies(operation, request.body, document).map((one) => [
        one.what,
        withBody(right, JSON.stringify(one.body)),
        one.path,
      ]),
    ),
  ];
}

const codesOf = ({ responses }: Operation) =>
  new Set(
    Object.values(responses).flatMap(({ content = {} }) =>
      Object.keys(content['application/problem+json']?.examples ?? {}),
    ),
  );

for (const call of calls) {
  const { operationId } = call.operation;
  const row = rows[operationId];
  if (row === undefined) continue;

  test(`${operationId}: what is wrong in form is refused, names its field, and uses up neither the key nor the resource`, async () => {
    const [door] = doorsOf(call, platform);
    const request = await row.prepare(world);
    const right = rightRequest(call, row, door, request);
    const differ: unknown[] = [];
    for (const { what, sent, status, code, path } of wrongRequests(call, right, door, request)) {
      const answer = await send(door, sent);
      const isNamed = path === undefined || answer.errors.some((error) => `${error.path}.`.startsWith(`${path}.`));
      if (answer.status !== status || answer.code !== code || !isNamed) differ.push({ what, status, code, answer });
    }
    if (request.id !== undefined) {
      const answer = await send(door, { ...right, path: door.pathOf(call, randomUUIDv7()) });
      if (answer.status !== 404) differ.push({ what: 'an id that nobody has', answer });
    }
    assert.deepEqual(differ, []);
    const { status } = await send(door, right);
    assert.equal(status, Math.min(row.owner, row.admin), 'the same with nothing wrong');
  });

  test(`${operationId}: of several things that are wrong, the first in the order of checks is told`, async () => {
    const codes = codesOf(call.operation);
    const id = randomUUIDv7();
    for (const door of doorsOf(call, platform)) {
      let sent = rightRequest(call, row, door, { ...(await row.prepare(world)), id });
      const got: unknown[] = [];
      const expected: unknown[] = [];
      /** Makes one more thing wrong. */
      const worsen = async (status: number, isPossible: boolean, change: (sent: Sent) => Sent) => {
        if (!isPossible) return;
        sent = change(sent);
        expected.push(status);
        got.push((await send(door, sent)).status);
      };
      await worsen(404, call.template.includes('{'), (it) => it);
      await worsen(422, codes.has('body.invalid'), (it) => withBody(it, '{"nickname":1}'));
      await worsen(400, codes.has('query.invalid'), (it) => ({ ...it, query: 'nickname=1' }));
      await worsen(400, codes.has('idempotency-key.missing'), (it) => {
        return { ...it, headers: without(it.headers, 'idempotency-key') };
      });
      await worsen(400, codes.has('body.malformed'), (it) => withBody(it, '{'));
      await worsen(413, codes.has('body.too-large'), (it) => withBody(it, TOO_LARGE));
      await worsen(415, codes.has('body.unsupported-type'), (it) => withBody(it, TOO_LARGE, 'text/plain'));
      await worsen(403, row.owner === 403, (it) => {
        return { ...it, headers: { ...it.headers, authorization: `Bearer ${world.actors.owner.token}` } };
      });
      await worsen(401, !call.isOpen, (it) => ({ ...it, headers: without(it.headers, 'authorization') }));
      await worsen(405, true, (it) => ({ ...it, method: 'PUT' }));
      await worsen(404, true, (it) => ({ ...it, path: `/nothing${it.path}` }));
      assert.deepEqual(got, expected, door.name);
    }
  });
}

for (const [template, item] of Object.entries(document.paths))
  test(`${template}: another method is refused, and told which there are`, async () => {
    const methods = Object.keys(item).flatMap((method) =>
      method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
    );
    const path = template.replace(/\{\w+\}/, randomUUIDv7());
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      if (methods.includes(method)) continue;
      const door = { name: 'gateway', url: platform.gatewayUrl, pathOf: () => path };
      const { status, code, allow } = await send(door, { method, path, headers: {} });
      assert.deepEqual({ status, code }, { status: 405, code: 'method.not-allowed' }, method);
      assert.deepEqual(allow?.split(', ').sort(), methods.sort(), method);
    }
  });
