// Logins from end to end, with two gateways and two copies of user-service: the signing key is rotated while people are logged in, and a refresh token that was stolen ends its login.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { createClient, type Reply, waitFor } from '@glasshouse/shared/testing';
import jwt from 'jsonwebtoken';
import pg from 'pg';
import type { Platform } from '../infrastructure/local/src/platform.ts';
import { startTestPlatform } from './support/platform.ts';

/** Short, so that a token expires within the test; long enough for a machine that is busy. */
const ACCESS_TOKEN_TTL_S = 30;

type Client = ReturnType<typeof createClient>;
interface Login {
  accessToken: string;
  refreshToken: string;
}

let platform: Platform;
/** Both copies of the gateway, and of user-service. */
let gateways: [Client, Client];
let userServices: [Client, Client];

before(async () => {
  platform = await startTestPlatform({
    portOffset: 3_750,
    replicas: { 'api-gateway': 2, 'user-service': 2 },
    env: { ACCESS_TOKEN_TTL_S: String(ACCESS_TOKEN_TTL_S) },
  });
  gateways = twoClientsOf('api-gateway');
  userServices = twoClientsOf('user-service');
});
after(async () => {
  await platform?.stop();
});

const clientsOf = (service: string): Client[] => (platform.urls[service] ?? []).map((url) => createClient(url));
function twoClientsOf(service: string): [Client, Client] {
  const [first, second, ...more] = clientsOf(service);
  assert.ok(first !== undefined && second !== undefined && more.length === 0);
  return [first, second];
}

async function logIn(call: Client, name = 'admin'): Promise<Login> {
  const body = { email: `${name}@example.com`, password: `${name}-password` };
  const reply = await call('POST', '/api/v1/auth/login', { body });
  assert.equal(reply.status, 200);
  return reply.body;
}
/** @param call to a gateway */
const refresh = (call: Client, refreshToken: string) =>
  call('POST', '/api/v1/auth/refresh', { body: { refreshToken } });
/** @param call to user-service itself */
const refreshAt = (call: Client, refreshToken: string) => call('POST', '/v1/auth/refresh', { body: { refreshToken } });
const logOut = (call: Client, refreshToken: string) => call('POST', '/api/v1/auth/logout', { body: { refreshToken } });

function assertRefused({ status, body }: Reply): void {
  assert.deepEqual({ status, code: body.code }, { status: 401, code: 'refresh-token.invalid' });
}

const kidOf = (token: string) => jwt.decode(token, { complete: true })?.header.kid;
const kidsOf = async (call: Client): Promise<string[]> => {
  const { status, body } = await call('GET', '/.well-known/jwks.json');
  assert.equal(status, 200);
  return body.keys.map(({ kid }: { kid: string }) => kid);
};

/** A call at every service that an admin may make, and what answers it. */
const calls = [
  ['user-service', 'GET', '/v1/users/me', 200],
  ['product-service', 'DELETE', `/v1/products/${randomUUID()}`, 404],
  ['order-service', 'GET', '/v1/orders', 200],
  ['payment-service', 'GET', `/v1/payments?orderId=${randomUUID()}`, 200],
  ['notification-service', 'GET', '/v1/notifications', 200],
] as const;

/** Where a token can be presented: at every copy of every service, and at each service through both gateways. */
const allPlaces = () =>
  calls.flatMap(([service, method, path, expected]) => [
    ...clientsOf(service).map((call, copy) => ({ call, method, path, expected, name: `${service} ${copy + 1}` })),
    ...gateways.map((call, copy) => ({
      call,
      method,
      path: `/api${path}`,
      expected,
      name: `${service} by ${copy + 1}`,
    })),
  ]);

/** Presents an admin's token everywhere. Returns who does not take it. */
async function whoRefuses(token: string): Promise<string[]> {
  const refusals = await Promise.all(
    allPlaces().map(async ({ call, method, path, expected, name }) => {
      const { status } = await call(method, path, { token });
      assert.ok([expected, 401].includes(status), `${name}: ${status}`);
      return status === 401 ? name : undefined;
    }),
  );
  return refusals.filter((name) => name !== undefined);
}

/** The key command as an operator runs it. */
async function keys(...args: string[]): Promise<string> {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['src/keys.ts', ...args], {
    cwd: join(import.meta.dirname, '../user-service'),
    env: { PATH, NODE_COMPILE_CACHE, ...platform.keysEnv },
  });
  return stdout;
}

test('keys rotate: while people are logged in, nobody notices; then the old key goes with its last token', async () => {
  let isRotated = false;
  /** Logs in, works and refreshes, by both gateways in turn, for as long as the key is being rotated. */
  const customer = async () => {
    const replies = new Set<number>();
    while (!isRotated) {
      let { accessToken: token, refreshToken } = await logIn(gateways[0], 'alice');
      for (const call of [...gateways, ...gateways]) {
        for (const path of ['users/me', 'orders', 'notifications'])
          replies.add((await call('GET', `/api/v1/${path}`, { token })).status);
        const { status, body } = await refresh(call, refreshToken);
        replies.add(status);
        ({ accessToken: token, refreshToken } = body);
      }
    }
    return replies;
  };
  const first = await logIn(gateways[0]);
  const oldKid = kidOf(first.accessToken);
  assert.deepEqual(await whoRefuses(first.accessToken), []);
  /** The newest of one login's tokens, and the newest that the old key has signed: on a busy machine the command may take as long as a token lives. */
  let [latest, lastOfOldKey] = [first, first];
  const admin = async () => {
    while (!isRotated) {
      const { status, body } = await refresh(gateways[1], latest.refreshToken);
      assert.equal(status, 200);
      latest = body;
      if (kidOf(latest.accessToken) === oldKid) lastOfOldKey = latest;
    }
  };
  const rotation = keys('rotate').finally(() => {
    isRotated = true;
  });
  const [shown, replies] = await Promise.all([rotation, customer(), admin()]);
  const { accessToken } = await logIn(gateways[1]);
  const newKid = kidOf(accessToken);
  assert.notEqual(newKid, oldKid);
  assert.deepEqual(await whoRefuses(accessToken), []);
  assert.deepEqual(await whoRefuses(lastOfOldKey.accessToken), []);
  assert.deepEqual(replies, new Set([200]));

  for (const call of [...userServices, ...gateways]) assert.deepEqual(await kidsOf(call), [newKid, oldKid]);
  assert.match(shown, new RegExp(`^${newKid} .* signs\\n${oldKid} .* accepted until `, 'm'));
  for (const call of gateways) assert.equal(kidOf((await logIn(call)).accessToken), newKid);
  const { status, body } = await refresh(gateways[1], latest.refreshToken);
  assert.deepEqual([status, kidOf(body.accessToken)], [200, newKid], 'a login outlives the key');

  // The tokens' life passes as it does; the minute more, for clocks that differ, has passed already.
  const users = new pg.Client(platform.keysEnv.DATABASE_URL);
  await users.connect();
  await users.query("update signing_keys set retired_at = retired_at - interval '60 s' where retired_at is not null");
  await users.end();
  await waitFor(
    'the old key is gone',
    async () => (await kidsOf(userServices[0])).length === 1,
    (ACCESS_TOKEN_TTL_S + 60) * 1_000,
  );
  for (const call of [...userServices, ...gateways]) assert.deepEqual(await kidsOf(call), [newKid]);
  assert.equal((await whoRefuses(lastOfOldKey.accessToken)).length, allPlaces().length);
  assert.deepEqual(await whoRefuses((await logIn(gateways[0])).accessToken), []);
  assert.match(await keys(), new RegExp(`^${newKid} .* signs\\n${oldKid} .* gone$`, 'm'));
});

test('refresh: goes on for ever, on whichever copy', async () => {
  let { accessToken, refreshToken } = await logIn(gateways[0]);
  const [one, other] = userServices;
  for (const call of [one, other, other, one, one, other]) {
    const { status, body } = await refreshAt(call, refreshToken);
    assert.equal(status, 200);
    assert.notEqual(body.refreshToken, refreshToken);
    ({ accessToken, refreshToken } = body);
  }
  assert.deepEqual(await whoRefuses(accessToken), []);
});

test('refresh: when a spent token comes again, its login is over on every copy, and other logins are not', async () => {
  const [stolen, elsewhere] = [await logIn(gateways[0]), await logIn(gateways[1])];
  const { refreshToken: second } = (await refresh(gateways[0], stolen.refreshToken)).body;
  const { refreshToken: newest } = (await refresh(gateways[1], second)).body;
  assertRefused(await refreshAt(userServices[0], stolen.refreshToken));
  for (const token of [newest, second, stolen.refreshToken]) {
    for (const call of [...userServices].reverse()) assertRefused(await refreshAt(call, token));
    for (const call of gateways) assertRefused(await refresh(call, token));
  }
  assert.equal((await refresh(gateways[0], elsewhere.refreshToken)).status, 200);
});

test('refresh: when one token comes ten times at once, one is answered with tokens, and the login is over', async () => {
  const { refreshToken } = await logIn(gateways[0]);
  const replies = await Promise.all(
    Array.from({ length: 10 }, (_, index) => refresh(index % 2 === 0 ? gateways[0] : gateways[1], refreshToken)),
  );
  const won = replies.filter(({ status }) => status === 200);
  assert.equal(won.length, 1);
  for (const reply of replies.filter((one) => one !== won[0])) assertRefused(reply);
  for (const call of gateways) assertRefused(await refresh(call, won[0]?.body.refreshToken));
  assert.equal((await refresh(gateways[1], (await logIn(gateways[0])).refreshToken)).status, 200);
});

test('logout: ends the login on every copy, whichever of its tokens comes, and is a 204 whatever comes', async () => {
  const [first, other] = [await logIn(gateways[0]), await logIn(gateways[0])];
  const { refreshToken: newest } = (await refresh(gateways[0], first.refreshToken)).body;
  assert.equal((await logOut(gateways[1], first.refreshToken)).status, 204);
  for (const call of gateways) assertRefused(await refresh(call, newest));
  for (const token of [first.refreshToken, newest, 'unknown', first.accessToken])
    for (const call of gateways) assert.equal((await logOut(call, token)).status, 204);
  assert.equal((await refresh(gateways[1], other.refreshToken)).status, 200);
});

test('tokens: neither kind is taken for the other', async () => {
  const { accessToken, refreshToken } = await logIn(gateways[0]);
  for (const call of gateways) assertRefused(await refresh(call, accessToken));
  assert.equal((await whoRefuses(refreshToken)).length, allPlaces().length);
  assert.equal((await refresh(gateways[0], refreshToken)).status, 200);
});
