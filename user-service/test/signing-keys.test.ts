// Signing keys: shared by the copies, encrypted where they lie, replaced without anybody being logged out.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { createTokenVerifier, jwksOverHttp } from '@glasshouse/shared/auth';
import { createTestBroker, createTestPostgres, quietLogger, type TestBroker } from '@glasshouse/shared/testing';
import jwt from 'jsonwebtoken';
import { logIn, migrations, registerSomebody, startCopy, testSettings } from './support.ts';

let db: Awaited<ReturnType<typeof createTestPostgres>>;
let broker: TestBroker;
let settings: NodeJS.ProcessEnv;
let copies: Awaited<ReturnType<typeof startCopy>>[];
before(async () => {
  [db, broker] = await Promise.all([createTestPostgres(migrations), createTestBroker()]);
  settings = testSettings(db.url, broker.url);
  // All at once, on a database without a key.
  copies = await Promise.all([startCopy(settings), startCopy(settings), startCopy(settings)]);
});
after(async () => {
  await Promise.all(copies.map((copy) => copy.stop()));
  await Promise.all([db.drop(), broker.drop()]);
});

const kidOf = (token: string) => jwt.decode(token, { complete: true })?.header.kid;
const kidsOf = async (call: Awaited<ReturnType<typeof startCopy>>['call']) =>
  (await call('GET', '/.well-known/jwks.json')).body.keys.map((key: { kid: string }) => key.kid) as string[];

test('signingKeys: when copies start at once, they share one key and take each other’s tokens', async () => {
  const { rows } = await db.pool.query('select kid from signing_keys');
  assert.equal(rows.length, 1);
  const [first, ...others] = copies;
  assert.ok(first);
  const { accessToken: token } = (await logIn(first.call, await registerSomebody(first.call))).body;
  for (const { call } of others) {
    assert.deepEqual(await kidsOf(call), [rows[0].kid]);
    assert.equal((await call('GET', '/v1/users/me', { token })).status, 200);
  }
});

test('signingKeys: the private half is not in the database', async () => {
  const { rows } = await db.pool.query('select private_key from signing_keys');
  const stored: Buffer = rows[0].private_key;
  assert.throws(() => createPrivateKey({ key: stored, format: 'der', type: 'pkcs8' }));
  assert.throws(() => createPrivateKey({ key: stored.subarray(28), format: 'der', type: 'pkcs8' }));
});

test('signingKeys: with another KEY_ENCRYPTION_KEY, the process ends with one clear line', async () => {
  const child = spawn(process.execPath, [`${import.meta.dirname}/../src/main.ts`], {
    env: { PATH: process.env.PATH, ...settings, KEY_ENCRYPTION_KEY: Buffer.alloc(32, 8).toString('base64') },
  });
  const [code, stdout, stderr] = await Promise.all([
    new Promise((resolve) => child.on('exit', resolve)),
    text(child.stdout),
    text(child.stderr),
  ]);
  assert.deepEqual(
    { code, stdout, stderr },
    {
      code: 1,
      stdout: '',
      stderr:
        'KEY_ENCRYPTION_KEY does not decrypt the signing key in the database: set the one that it was encrypted with.\n',
    },
  );
});

test('signingKeys: when the key is retired, every copy signs with one new key, and old tokens stay good', async () => {
  const [first, second] = copies;
  assert.ok(first && second);
  const somebody = await registerSomebody(first.call);
  const { accessToken: old } = (await logIn(first.call, somebody)).body;
  await db.pool.query('update signing_keys set retired_at = clock_timestamp()');
  const logins = await Promise.all(copies.map(({ call }) => logIn(call, somebody)));
  const tokens = logins.map(({ body }) => body.accessToken as string);
  const [kid, ...more] = new Set(tokens.map(kidOf));
  assert.deepEqual(more, []);
  assert.notEqual(kid, kidOf(old));
  assert.deepEqual(await kidsOf(second.call), [kid, kidOf(old)]);
  const elsewhere = createTokenVerifier({
    issuer: 'glasshouse',
    audience: 'glasshouse-api',
    fetchKeys: jwksOverHttp([second.url]),
    logger: quietLogger,
  });
  for (const token of [old, ...tokens]) assert.equal((await elsewhere.verify(token)).userId, somebody.id);

  await db.pool.query("update signing_keys set retired_at = retired_at - interval '961 s'");
  assert.deepEqual(await kidsOf(second.call), [kid]);
});
