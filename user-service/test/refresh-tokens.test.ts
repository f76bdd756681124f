// Refresh tokens: each is good for one use, and one used twice ends all that descend from the same login.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '@glasshouse/shared/testing';
import jwt from 'jsonwebtoken';
import {
  logIn,
  logOut,
  problemOf,
  refresh,
  registerSomebody,
  startCopy,
  startUserService,
  type TestService,
} from './support.ts';

let service: TestService;
before(async () => {
  service = await startUserService();
});
after(() => service.stop());

const refused = { status: 401, code: 'refresh-token.invalid' };
const logInSomebody = async () => {
  const somebody = await registerSomebody(service.call);
  const { body } = await logIn(service.call, somebody);
  return { ...somebody, ...(body as { accessToken: string; refreshToken: string }) };
};
const familyOf = async (refreshToken: string) => {
  const hash = createHash('sha256').update(refreshToken).digest();
  const { rows } = await service.db.pool.query('select family_id from refresh_tokens where hash = $1', [hash]);
  return rows[0]?.family_id as string | undefined;
};

test('refreshTokens: with a good token, gives a new pair, again and again', async () => {
  const { id, refreshToken } = await logInSomebody();
  let latest = refreshToken;
  for (let round = 0; round < 3; round += 1) {
    const { status, body, headers } = await refresh(service.call, latest);
    assert.equal(status, 200);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.deepEqual(Object.keys(body).sort(), ['accessToken', 'expiresIn', 'refreshToken', 'tokenType']);
    assert.notEqual(body.refreshToken, latest);
    assert.equal((await service.call('GET', '/v1/users/me', { token: body.accessToken })).body.id, id);
    latest = body.refreshToken;
  }
});

test('refreshTokens: when a spent token comes again, its family is void and other logins are not', async () => {
  const { refreshToken: spent, ...somebody } = await logInSomebody();
  const elsewhere = (await logIn(service.call, somebody)).body.refreshToken;
  const { refreshToken: next } = (await refresh(service.call, spent)).body;
  assert.deepEqual(problemOf(await refresh(service.call, spent)), refused);
  assert.deepEqual(problemOf(await refresh(service.call, next)), refused);
  assert.equal((await refresh(service.call, elsewhere)).status, 200);
});

test('refreshTokens: when a spent token comes again, says so in the log by ids, once, and never by the token', async () => {
  const copy = await startCopy({ ...service.settings, LOG_LEVEL: 'debug' });
  for (const transport of copy.logger.transports) transport.silent = true;
  const lines: Record<string, unknown>[] = [];
  const asWritten: string[] = [];
  copy.logger.on('data', (line) => {
    asWritten.push(line[Symbol.for('message')]);
    if (line.level !== 'info') lines.push(line);
  });
  try {
    const { id, refreshToken: spent } = await logInSomebody();
    const { refreshToken: next } = (await refresh(copy.call, spent)).body;
    assert.deepEqual(lines, [], 'a refresh is nothing to warn of');
    for (const token of [spent, spent, next]) await refresh(copy.call, token);
    assert.deepEqual(
      lines.map(({ level, userId, familyId }) => ({ level, userId, familyId })),
      [{ level: 'warn', userId: id, familyId: await familyOf(spent) }],
    );
    assert.ok(asWritten.length > lines.length, 'every line comes by here');
    for (const token of [spent, next]) assert.ok(!asWritten.join().includes(token));
  } finally {
    await copy.stop();
  }
});

test('refreshTokens: when one token comes many times at once, exactly one wins, on whichever copy, and its login is void', async () => {
  const copy = await startCopy(service.settings);
  try {
    for (let round = 0; round < 5; round += 1) {
      const { refreshToken } = await logInSomebody();
      const replies = await Promise.all(
        Array.from({ length: 8 }, (_, index) => refresh(index % 2 === 0 ? service.call : copy.call, refreshToken)),
      );
      assert.deepEqual(replies.map(({ status }) => status).sort(), [200, ...Array(7).fill(401)]);
      // Two hold it, and nobody can tell which of them is the thief: neither may go on.
      const winner = replies.find(({ status }) => status === 200)?.body;
      for (const { call } of [service, copy])
        assert.deepEqual(problemOf(await refresh(call, winner.refreshToken)), refused);
      assert.equal((await copy.call('GET', '/v1/users/me', { token: winner.accessToken })).status, 200);
    }
  } finally {
    await copy.stop();
  }
});

test('refreshTokens: after its time by the database clock, is refused; a refresh begins it anew', async () => {
  const { refreshToken } = await logInSomebody();
  const family = await familyOf(refreshToken);
  const secondsLeft = async () => {
    const { rows } = await service.db.pool.query(
      'select extract(epoch from expires_at - clock_timestamp())::float as seconds from token_families where id = $1',
      [family],
    );
    return rows[0].seconds as number;
  };
  const setSecondsLeft = (seconds: number) =>
    service.db.pool.query(
      'update token_families set expires_at = clock_timestamp() + make_interval(secs => $2) where id = $1',
      [family, seconds],
    );
  assert.ok(Math.abs((await secondsLeft()) - 2_592_000) < 60);
  await setSecondsLeft(60);
  const { refreshToken: next } = (await refresh(service.call, refreshToken)).body;
  assert.ok(Math.abs((await secondsLeft()) - 2_592_000) < 60);
  await setSecondsLeft(-1);
  assert.deepEqual(problemOf(await refresh(service.call, next)), refused);
});

test('refreshTokens: when roles have changed, the new access token has the new ones', async () => {
  const { id, refreshToken } = await logInSomebody();
  await service.db.pool.query("update users set roles = '{customer,admin}' where id = $1", [id]);
  const { accessToken } = (await refresh(service.call, refreshToken)).body;
  assert.deepEqual((jwt.decode(accessToken) as jwt.JwtPayload).roles, ['customer', 'admin']);
});

test('refreshTokens: with what is no refresh token, is a 401, and with no text at all a 422', async () => {
  const { accessToken, refreshToken } = await logInSomebody();
  for (const token of ['x', 'nul\u0000', accessToken, `${refreshToken}=`, refreshToken.toLowerCase()])
    assert.deepEqual(problemOf(await refresh(service.call, token)), refused, token);
  for (const token of [undefined, null, '', 7, {}, 'x'.repeat(4_097)])
    assert.equal((await refresh(service.call, token)).status, 422);
  const extra = { body: { refreshToken, scope: 'admin' } };
  assert.equal((await service.call('POST', '/v1/auth/refresh', extra)).status, 422);
  assert.equal((await refresh(service.call, refreshToken)).status, 200);
});

test('refreshTokens: the database holds hashes and no token', async () => {
  const { refreshToken } = await logInSomebody();
  assert.notEqual(await familyOf(refreshToken), undefined);
  const { rows } = await service.db.pool.query(
    'select t::text as token, f::text as family from refresh_tokens t join token_families f on f.id = t.family_id',
  );
  assert.ok(!JSON.stringify(rows).includes(refreshToken));
  assert.ok(!JSON.stringify(rows).includes(Buffer.from(refreshToken).toString('hex')));
});

test('logOut: ends the login, by its newest token or a spent one, and is a 204 whatever comes', async () => {
  const first = await logInSomebody();
  assert.equal((await logOut(service.call, first.refreshToken)).status, 204);
  assert.deepEqual(problemOf(await refresh(service.call, first.refreshToken)), refused);
  assert.equal((await logOut(service.call, first.refreshToken)).status, 204);
  assert.equal((await logOut(service.call, 'unknown')).status, 204);
  assert.equal((await logOut(service.call, 7)).status, 422);

  const second = await logInSomebody();
  const { refreshToken: next } = (await refresh(service.call, second.refreshToken)).body;
  assert.equal((await logOut(service.call, second.refreshToken)).status, 204);
  assert.deepEqual(problemOf(await refresh(service.call, next)), refused);
});

test('logOut: when a refresh comes at the same moment on another copy, the login is over all the same', async () => {
  const copy = await startCopy(service.settings);
  try {
    for (let round = 0; round < 20; round += 1) {
      const { refreshToken } = await logInSomebody();
      const [refreshed, loggedOut] = await Promise.all([
        refresh(service.call, refreshToken),
        logOut(copy.call, refreshToken),
      ]);
      assert.ok([200, 401].includes(refreshed.status), `${refreshed.status}`);
      assert.equal(loggedOut.status, 204);
      const newest = refreshed.status === 200 ? refreshed.body.refreshToken : refreshToken;
      assert.deepEqual(problemOf(await refresh(copy.call, newest)), refused);
    }
  } finally {
    await copy.stop();
  }
});

test('logOut: with an access token, ends nothing', async () => {
  const { accessToken, refreshToken } = await logInSomebody();
  assert.equal((await logOut(service.call, accessToken)).status, 204);
  assert.equal((await refresh(service.call, refreshToken)).status, 200);
});

test('purge: forgets the tokens of an ended login and no others', async () => {
  const ended = await logInSomebody();
  const { refreshToken: endedToo } = (await refresh(service.call, ended.refreshToken)).body;
  const standing = await logInSomebody();
  await service.db.pool.query('update token_families set expires_at = clock_timestamp() where id = $1', [
    await familyOf(endedToo),
  ]);
  // Each process does it when it starts.
  const copy = await startCopy(service.settings);
  await waitFor('the end of the login', async () => (await familyOf(endedToo)) === undefined).finally(copy.stop);
  assert.equal(await familyOf(ended.refreshToken), undefined);
  assert.equal((await refresh(service.call, standing.refreshToken)).status, 200);
});
