// Signing keys: shared by the copies, encrypted where they lie, replaced without anybody being logged out.
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createTokenVerifier, jwksOverHttp } from '@glasshouse/shared/auth';
import {
  createTestBroker,
  createTestPostgres,
  quietLogger,
  type TestBroker,
  waitFor,
} from '@glasshouse/shared/testing';
import jwt from 'jsonwebtoken';
import { logIn, migrations, refresh, registerSomebody, runProcess, startCopy, testSettings } from './support.ts';

let db: Awaited<ReturnType<typeof createTestPostgres>>;
let broker: TestBroker;
let settings: NodeJS.ProcessEnv;
let copies: Awaited<ReturnType<typeof startCopy>>[];
before(async () => {
  [db, broker] = await Promise.all([createTestPostgres(migrations), createTestBroker('user-service')]);
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

const storedKeys = async (): Promise<{ kid: string; retired_at: Date | null }[]> =>
  (await db.pool.query('select kid, private_key, retired_at from signing_keys order by kid')).rows;
/** Another service's. */
const verifierOf = (url: string) =>
  createTokenVerifier({
    issuer: 'glasshouse',
    audience: 'glasshouse-api',
    fetchKeys: jwksOverHttp([url]),
    logger: quietLogger,
  });
/** The key that signs from now on, and what the command prints. */
async function rotate() {
  const { code, stdout, stderr } = await runProcess('keys.ts', settings, 'rotate');
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return { kid: /^(\S+) .* signs$/m.exec(stdout)?.[1], lines: stdout.split('\n') };
}

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

test('signingKeys: with another KEY_ENCRYPTION_KEY, neither process does anything but say so in one clear line', async () => {
  const keysBefore = await storedKeys();
  const env = { ...settings, KEY_ENCRYPTION_KEY: Buffer.alloc(32, 8).toString('base64') };
  const refusal = {
    code: 1,
    stdout: '',
    stderr:
      'KEY_ENCRYPTION_KEY does not decrypt the signing key in the database: set the one that it was encrypted with.\n',
  };
  assert.deepEqual(await runProcess('main.ts', env), refusal);
  assert.deepEqual(await runProcess('keys.ts', env, 'rotate'), refusal);
  assert.deepEqual(await storedKeys(), keysBefore);
});

test('keys: without settings, a database or a known command, says so in clear lines and changes nothing', async () => {
  const keysBefore = await storedKeys();
  const { DATABASE_URL, KEY_ENCRYPTION_KEY } = settings;
  for (const [env, args, stderr] of [
    [{}, ['rotate'], /^Wrong settings:\n {2}DATABASE_URL: is missing\n {2}KEY_ENCRYPTION_KEY: is missing\n$/],
    [{ KEY_ENCRYPTION_KEY, DATABASE_URL: 'postgres://127.0.0.1:1/users' }, [], /^The database .*ECONNREFUSED.*\n$/],
    [{ KEY_ENCRYPTION_KEY, DATABASE_URL }, ['turn'], /^The commands are list and rotate\.\n$/],
    [{ KEY_ENCRYPTION_KEY, DATABASE_URL }, ['rotate', 'twice'], /^The commands are list and rotate\.\n$/],
  ] as const) {
    const result = await runProcess('keys.ts', env, ...args);
    assert.deepEqual([result.code, result.stdout], [1, '']);
    assert.match(result.stderr, stderr);
  }
  assert.deepEqual(await storedKeys(), keysBefore);
});

test('keys rotate: at once every copy signs with one new key and publishes both, and old tokens stay good', async () => {
  const [first] = copies;
  assert.ok(first);
  const somebody = await registerSomebody(first.call);
  const { accessToken: old } = (await logIn(first.call, somebody)).body;
  const oldKid = kidOf(old);
  const { kid, lines } = await rotate();
  assert.notEqual(kid, oldKid);

  const logins = await Promise.all(copies.map(({ call }) => logIn(call, somebody)));
  const tokens = logins.map(({ body }) => body.accessToken as string);
  assert.deepEqual(new Set(tokens.map(kidOf)), new Set([kid]));
  const others = copies.map(({ url }) => verifierOf(url));
  for (const copy of copies) {
    assert.deepEqual(await kidsOf(copy.call), [kid, oldKid]);
    for (const token of [old, ...tokens]) {
      assert.equal((await copy.call('GET', '/v1/users/me', { token })).status, 200);
      for (const other of others) assert.equal((await other.verify(token)).userId, somebody.id);
    }
  }
  assert.match(lines[1] ?? '', new RegExp(`^${kid} {2}20\\S+Z {2}– +signs$`));
  assert.match(lines[2] ?? '', new RegExp(`^${oldKid} {2}20\\S+Z {2}20\\S+Z {2}accepted until 20\\S+Z$`));
  const until = Date.parse(/until (\S+)/.exec(lines[2] ?? '')?.[1] ?? '');
  assert.ok(Math.abs(until - Date.now() - 960_000) < 60_000, '15 minutes, and one for clocks that differ');
  const { rows } = await db.pool.query('select private_key from signing_keys where kid = $1', [oldKid]);
  assert.equal(rows[0].private_key.length, 0, 'nobody can sign with the old key any more');
});

test('keys rotate: when the last token of the old key has expired, it is gone everywhere', async () => {
  const [first, second] = copies;
  assert.ok(first && second);
  const somebody = await registerSomebody(first.call);
  const { accessToken: old } = (await logIn(first.call, somebody)).body;
  const { kid } = await rotate();
  const gone = (shift: string) =>
    db.pool.query(
      'update signing_keys set retired_at = clock_timestamp() - $1::interval where retired_at is not null',
      [shift],
    );
  await gone('955 s');
  assert.ok((await kidsOf(second.call)).includes(kidOf(old) ?? ''));
  await gone('960 s');
  for (const { call } of copies) assert.deepEqual(await kidsOf(call), [kid]);
  await assert.rejects(verifierOf(second.url).verify(old), { code: 'token.invalid' });
  const { stdout } = await runProcess('keys.ts', settings);
  assert.match(stdout, new RegExp(`^${kidOf(old)} .* gone$`, 'm'));
  assert.match(stdout, new RegExp(`^${kid} .* signs$`, 'm'));

  // Each process clears away when it starts.
  const copy = await startCopy(settings);
  await waitFor('only the new key is left', async () => (await storedKeys()).length === 1).finally(copy.stop);
  assert.deepEqual(
    (await storedKeys()).map((key) => key.kid),
    [kid],
  );
});

test('keys rotate: while people log in and refresh everywhere, every token that anybody gets is good everywhere', async () => {
  const people = await Promise.all(copies.map(({ call }) => registerSomebody(call)));
  const before = await storedKeys();
  const tokens: string[] = [];
  let isRotating = true;
  const usePlatform = async (index: number) => {
    const [copy, next, somebody] = [copies[index], copies[(index + 1) % copies.length], people[index]];
    assert.ok(copy && next && somebody);
    while (isRotating) {
      const { body } = await logIn(copy.call, somebody);
      const refreshed = await refresh(next.call, body.refreshToken);
      tokens.push(body.accessToken, refreshed.body.accessToken);
    }
  };
  const users = copies.map((_, index) => usePlatform(index));
  // Two at once come one after the other.
  await Promise.all([rotate(), rotate()]);
  isRotating = false;
  await Promise.all(users);
  // The key between the two may have signed for too short a time for anybody to get a token of it.
  assert.ok(new Set(tokens.map(kidOf)).size > 1, 'tokens from before and after');
  for (const { url } of copies) {
    const verifier = verifierOf(url);
    for (const token of tokens) await verifier.verify(token);
  }
  const keys = await storedKeys();
  assert.equal(keys.length, before.length + 2);
  assert.equal(keys.filter(({ retired_at }) => retired_at === null).length, 1);
});

test('keys rotate: on a database without a key, while copies start, one key signs and every copy has it', async () => {
  const empty = await createTestPostgres(migrations);
  const env = { ...settings, DATABASE_URL: empty.url };
  // Held until all four are there: without the lock they would pass by.
  const holder = await empty.pool.connect();
  await holder.query("select pg_advisory_lock(hashtext('signing_keys'))");
  const racing = Promise.all([
    startCopy(env),
    startCopy(env),
    runProcess('keys.ts', env, 'rotate'),
    runProcess('keys.ts', env, 'rotate'),
  ]);
  const haveWaited = waitFor('four that wait for the lock', async () => {
    const { rowCount } = await empty.pool.query(
      "select from pg_locks join pg_database on pg_database.oid = database and datname = current_database() where locktype = 'advisory' and not granted",
    );
    return rowCount === 4;
  })
    .catch(() => false)
    .finally(() => holder.release(true));
  const [one, other, ...results] = await racing;
  try {
    assert.ok(await haveWaited, 'all four wait for the lock');
    for (const { code, stderr } of results) assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    const { rows } = await empty.pool.query('select kid from signing_keys where retired_at is null');
    assert.equal(rows.length, 1);
    const somebody = await registerSomebody(one.call);
    for (const { call } of [one, other]) {
      const { accessToken } = (await logIn(call, somebody)).body;
      assert.equal(kidOf(accessToken), rows[0].kid);
      for (const copy of [one, other])
        assert.equal((await copy.call('GET', '/v1/users/me', { token: accessToken })).status, 200);
    }
  } finally {
    await Promise.all([one.stop(), other.stop()]);
    await empty.drop();
  }
});
