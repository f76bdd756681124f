// Unit tests of the verifier: how it comes to new keys, what it answers where it has none, and what it never takes.
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, randomBytes, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, mock, test } from 'node:test';
import fc from 'fast-check';
import jwt from 'jsonwebtoken';
import winston from 'winston';
import { ACCESS_TOKEN_TYPE, createTokenVerifier, type Jwks, keyIdOf, type TokenVerifier } from './index.ts';

const logger = winston.createLogger({ silent: true });
const userId = randomUUID();

function createKey() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = publicKey.export({ format: 'jwk' });
  const kid = keyIdOf(jwk);
  return { kid, privateKey, jwk: { ...jwk, kid } as Jwks['keys'][number] };
}
const [oldKey, newKey] = [createKey(), createKey()];

const tokenOf = ({ kid, privateKey }: { kid: string; privateKey: KeyObject }, expiresIn = 900) =>
  jwt.sign({ roles: ['customer'], jti: randomUUID() }, privateKey, {
    algorithm: 'RS256',
    header: { alg: 'RS256', typ: ACCESS_TOKEN_TYPE, kid },
    issuer: 'glasshouse',
    audience: 'glasshouse-api',
    subject: userId,
    expiresIn,
  });
/** As a stranger would make one up. */
const forged = (kid = randomBytes(32).toString('base64url')) => tokenOf({ kid, privateKey: oldKey.privateKey });

let clockMs: number;
let published: Jwks['keys'];
let fetches: number;
/** What a fetch waits for before it answers with what is published then. */
let slowness: Promise<void>;
let isDown: boolean;
let verifier: TokenVerifier;

beforeEach(async () => {
  clockMs = 1_000_000;
  published = [oldKey.jwk];
  fetches = 0;
  slowness = Promise.resolve();
  isDown = false;
  mock.method(performance, 'now', () => clockMs);
  mock.timers.enable({ apis: ['setTimeout'] });
  verifier = createTokenVerifier({
    issuer: 'glasshouse',
    audience: 'glasshouse-api',
    logger,
    async fetchKeys() {
      fetches += 1;
      const keys = published;
      await slowness;
      if (isDown) throw new Error('down');
      return { keys };
    },
  });
  await verifier.start();
  assert.deepEqual(await verifier.verify(tokenOf(oldKey)), { userId, roles: ['customer'] });
  assert.equal(fetches, 1);
});
afterEach(async () => {
  await verifier.stop();
  mock.timers.reset();
  mock.restoreAll();
});

/** What a verification ends with: `ok` or the error's code. */
const outcome = (token: string): Promise<string> =>
  verifier.verify(token).then(
    () => 'ok',
    ({ code, kind }) => (['unauthenticated', 'unavailable'].includes(kind) ? code : 'a fault'),
  );
/** Lets the refresh come that is made every 5 minutes. */
async function refresh(): Promise<void> {
  const before = fetches;
  mock.timers.tick(300_000);
  assert.equal(fetches, before + 1);
  await new Promise(setImmediate);
}

test('verify: when the keys were fetched a moment ago, takes the token of a newer key at once', async () => {
  published = [newKey.jwk, oldKey.jwk];
  assert.equal(await outcome(tokenOf(newKey)), 'ok');
  assert.equal(fetches, 2);
  assert.equal(await outcome(tokenOf(oldKey)), 'ok');
});

test('verify: when many tokens of a new key come at once, fetches once and takes them all', async () => {
  published = [newKey.jwk, oldKey.jwk];
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcome(tokenOf(newKey))));
  assert.deepEqual(new Set(outcomes), new Set(['ok']));
  assert.equal(fetches, 2);
});

test('verify: when a refresh is under way that began before there was the new key, asks once more', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  slowness = promise;
  mock.timers.tick(300_000);
  assert.equal(fetches, 2);
  published = [newKey.jwk, oldKey.jwk];
  const pending = Promise.all(Array.from({ length: 5 }, () => outcome(tokenOf(newKey))));
  resolve();
  assert.deepEqual(new Set(await pending), new Set(['ok']));
  assert.equal(fetches, 3);
});

test('verify: whatever key ids come, fetches once in 10 s', async () => {
  for (const kid of ['unknown', '../../etc/passwd', "' or 1=1 --", randomUUID()])
    assert.equal(await outcome(forged(kid)), 'token.invalid', kid);
  assert.equal(fetches, 2);
  clockMs += 9_999;
  await outcome(forged());
  assert.equal(fetches, 2);
  clockMs += 1;
  await Promise.all([forged(), forged(), forged()].map(outcome));
  assert.equal(fetches, 3);
});

test('verify: when strangers use up the fetch while keys rotate, new tokens are told to come again, and then work', async () => {
  const stranger = forged();
  assert.equal(await outcome(stranger), 'token.invalid');
  published = [newKey.jwk, oldKey.jwk];
  clockMs += 2_500;
  const token = tokenOf(newKey);
  await assert.rejects(verifier.verify(token), { kind: 'unavailable', code: 'keys.unavailable', retryAfterS: 8 });
  assert.equal(await outcome(stranger), 'token.invalid', 'it was looked for');
  assert.equal(await outcome(tokenOf(oldKey)), 'ok');
  assert.equal(fetches, 2);
  clockMs += 7_500;
  assert.equal(await outcome(token), 'ok');
  assert.equal(fetches, 3);
});

test('verify: when the keys can’t be had, an unknown key is a 503 and a known one is as good as ever', async () => {
  isDown = true;
  published = [newKey.jwk, oldKey.jwk];
  assert.equal(await outcome(tokenOf(newKey)), 'keys.unavailable');
  assert.equal(await outcome(tokenOf(newKey)), 'keys.unavailable');
  assert.equal(await outcome(tokenOf(oldKey)), 'ok');
  assert.equal(fetches, 2);
  isDown = false;
  clockMs += 10_000;
  assert.equal(await outcome(tokenOf(newKey)), 'ok');
});

test('verify: when a key is gone, its tokens are too, also one that was found good before', async () => {
  const token = tokenOf(oldKey);
  assert.equal(await outcome(token), 'ok');
  published = [newKey.jwk];
  assert.equal(await outcome(token), 'ok', 'until the next fetch');
  await refresh();
  for (const gone of [token, tokenOf(oldKey)]) assert.equal(await outcome(gone), 'token.invalid');
  assert.equal(await outcome(tokenOf(newKey)), 'ok');
});

test('verify: an expired token of a key that is gone is just expired, and costs no fetch', async () => {
  published = [newKey.jwk];
  await refresh();
  const before = fetches;
  await assert.rejects(verifier.verify(tokenOf(oldKey, -1)), { code: 'token.invalid', message: /expired/ });
  assert.equal(fetches, before);
});

test('verify: whatever text comes as a token, it is refused and never a fault', async () => {
  const encode = (value: string) => Buffer.from(value).toString('base64url');
  const header = fc.oneof(
    fc.constant(JSON.stringify({ alg: 'RS256', typ: 'JWT', kid: oldKey.kid })),
    fc.constant(JSON.stringify({ alg: 'RS256', typ: ACCESS_TOKEN_TYPE, kid: oldKey.kid })),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.string(),
  );
  const payload = fc.oneof(
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.string(),
  );
  const token = fc.oneof(
    fc.string(),
    fc.tuple(header, payload, fc.string()).map((parts) => parts.map(encode).join('.')),
  );
  await fc.assert(
    fc.asyncProperty(token, async (value) => {
      assert.equal(await outcome(value), 'token.invalid', value);
    }),
    { numRuns: 500 },
  );
});
