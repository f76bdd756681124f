// Guessing passwords gets slow, for an account and from an address; who has logged in before is not held up by it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createDatabase } from '@glasshouse/shared/postgres';
import { quietLogger, type Reply, waitFor } from '@glasshouse/shared/testing';
import { createLoginGuard } from '../src/security/login-guard.ts';
import { problemOf, registerSomebody, startCopy, startUserService, type TestService } from './support.ts';

type Copy = Pick<TestService, 'call'>;
let service: TestService;
before(async () => {
  service = await startUserService();
});
after(() => service.stop());

let count = 0;
/** An address that nobody has used yet. */
const anAddress = () => {
  count += 1;
  return `198.18.${count >> 8}.${count & 255}`;
};
const someEmail = () => `nobody-${anAddress()}@example.com`;

/** Logs in as the gateway would pass it on. */
const logInFrom = (address: string, email: string, password: string, copy: Copy = service): Promise<Reply> =>
  copy.call('POST', '/v1/auth/login', { body: { email, password }, headers: { 'x-forwarded-for': address } });
const fail = (address: string, email: string, copy?: Copy) => logInFrom(address, email, 'wrong password', copy);
const codesOf = (replies: readonly Reply[]) => replies.map(({ body }) => body.code);

/** Time passes on the counters: the tests neither sleep nor depend on how fast the machine is. */
const turnClock = (interval: string) =>
  service.db.pool.query(
    'update failed_logins set next_try_at = next_try_at - $1::interval, forget_at = forget_at - $1::interval',
    [interval],
  );
/** Nobody who has to wait gets a try before `letTry`. */
const holdOff = () =>
  service.db.pool.query(
    "update failed_logins set next_try_at = clock_timestamp() + interval '20 s' where failures > 0",
  );
const letTry = () => service.db.pool.query('update failed_logins set next_try_at = clock_timestamp()');

const wrong = { status: 401, code: 'credentials.wrong' };
const slow = { status: 429, code: 'login.slow-down' };
async function failFiveTimes(email: string, from: () => string = anAddress) {
  for (let failures = 0; failures < 5; failures += 1) assert.deepEqual(problemOf(await fail(from(), email)), wrong);
}
function assertSlow(reply: Reply): number {
  assert.deepEqual(problemOf(reply), slow);
  return Number(reply.headers.get('retry-after'));
}

test('slow-down: after five failures for an account the next try has to wait, the right one too, from wherever', async () => {
  const { email, password } = await registerSomebody(service.call);
  await failFiveTimes(email);
  await holdOff();
  for (const reply of [
    await logInFrom(anAddress(), email, password),
    await logInFrom(anAddress(), email.toUpperCase(), password),
    await fail(anAddress(), email),
  ]) {
    const retryAfterS = assertSlow(reply);
    assert.ok(retryAfterS > 0 && retryAfterS <= 20, `${retryAfterS}`);
  }
  await letTry();
  assert.equal((await logInFrom(anAddress(), email, password)).status, 200);
});

test('slow-down: each failure makes the wait longer, 1, 2, 4, 8, 16 s, but never more than 30', async () => {
  const email = someEmail();
  const waits: number[] = [];
  for (let failures = 1; failures <= 12; failures += 1) {
    assert.deepEqual(problemOf(await fail(anAddress(), email)), wrong);
    const { rows } = await service.db.pool.query(
      `select extract(epoch from next_try_at - forget_at + interval '15 minutes')::int as wait
       from failed_logins where failures = $1 and failures = (select max(failures) from failed_logins)`,
      [failures],
    );
    if (failures >= 5) waits.push(rows[0].wait);
    await letTry();
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
});

test('slow-down: an account that does not exist is slowed down just the same, and answers the same', async () => {
  const { email } = await registerSomebody(service.call);
  const answers: unknown[][] = [];
  for (const target of [email, someEmail()]) {
    const seen: unknown[] = [];
    const note = ({ status, body: { traceId: _traceId, ...body } }: Reply) => seen.push([status, body]);
    for (let tries = 0; tries < 5; tries += 1) note(await fail(anAddress(), target));
    await holdOff();
    note(await fail(anAddress(), target));
    note(await fail(anAddress(), target.toUpperCase()));
    answers.push(seen);
  }
  assert.deepEqual(answers[0], answers[1]);
});

test('slow-down: an address that has logged in before is held up by its own failures only', async () => {
  const { email, password } = await registerSomebody(service.call);
  const home = anAddress();
  assert.equal((await logInFrom(home, email, password)).status, 200);
  await failFiveTimes(email);
  await holdOff();
  assertSlow(await logInFrom(anAddress(), email, password));
  for (let logins = 0; logins < 10; logins += 1) assert.equal((await logInFrom(home, email, password)).status, 200);
  // Its owner's logins are not what makes the others' guesses free again.
  assertSlow(await fail(anAddress(), email));

  await failFiveTimes(email, () => home);
  await holdOff();
  assertSlow(await logInFrom(home, email, password));
  await letTry();
  assert.equal((await logInFrom(home, email, password)).status, 200);

  // Thirty days later it is an address like any other.
  await turnClock('15 minutes');
  await service.db.pool.query("update familiar_addresses set last_login_at = last_login_at - interval '31 days'");
  await failFiveTimes(email);
  await holdOff();
  assertSlow(await logInFrom(home, email, password));
});

test('slow-down: from one address, after twenty failures over any accounts, for all but those that have logged in from there', async () => {
  const somebody = await registerSomebody(service.call);
  const shared = anAddress();
  assert.equal((await logInFrom(shared, somebody.email, somebody.password)).status, 200);
  for (let failures = 0; failures < 20; failures += 1) {
    assert.deepEqual(problemOf(await fail(shared, someEmail())), wrong);
    // An account of their own does not make their guesses free again.
    if (failures % 7 > 0) continue;
    const own = await registerSomebody(service.call);
    assert.equal((await logInFrom(shared, own.email, own.password)).status, 200);
  }
  await holdOff();
  assertSlow(await fail(shared, someEmail()));
  const other = await registerSomebody(service.call);
  assertSlow(await logInFrom(shared, other.email, other.password));
  assert.equal((await logInFrom(shared, somebody.email, somebody.password)).status, 200);
  assert.equal((await logInFrom(anAddress(), other.email, other.password)).status, 200);
});

test('slow-down: failures for accounts that have logged in from an address hold up nobody else there', async () => {
  const shared = anAddress();
  for (let people = 0; people < 6; people += 1) {
    const { email, password } = await registerSomebody(service.call);
    assert.equal((await logInFrom(shared, email, password)).status, 200);
    for (let failures = 0; failures < 4; failures += 1) assert.deepEqual(problemOf(await fail(shared, email)), wrong);
  }
  const other = await registerSomebody(service.call);
  assert.equal((await logInFrom(shared, other.email, other.password)).status, 200);
});

test('slow-down: an IPv6 subscriber is one address, whichever of theirs they use', async () => {
  for (let failures = 0; failures < 20; failures += 1)
    assert.deepEqual(problemOf(await fail(`2001:db8:7:${failures}::${failures}`, someEmail())), wrong);
  await holdOff();
  assertSlow(await fail('2001:db8:7:77::1', someEmail()));
  assert.deepEqual(problemOf(await fail('2001:db8:8:77::1', someEmail())), wrong);
});

test('slow-down: only what the gateway says counts as the address', async () => {
  const real = anAddress();
  for (let failures = 0; failures < 20; failures += 1)
    assert.deepEqual(problemOf(await fail(`${anAddress()}, ${real}`, someEmail())), wrong);
  await holdOff();
  assertSlow(await fail(`${anAddress()}, ${real}`, someEmail()));
});

test('slow-down: failures are forgotten after a success, and a quarter of an hour later', async () => {
  const { email, password } = await registerSomebody(service.call);
  const away = anAddress();
  for (let failures = 0; failures < 4; failures += 1) await fail(away, email);
  assert.equal((await logInFrom(anAddress(), email, password)).status, 200);
  await failFiveTimes(email);
  await holdOff();
  assertSlow(await fail(anAddress(), email));
  await turnClock('15 minutes');
  await failFiveTimes(email);
  await holdOff();
  assertSlow(await fail(anAddress(), email));

  // For an account each failure counts anew; for an address, which many may share, the quarter of an hour runs from the first.
  const [steady, busy] = [someEmail(), anAddress()];
  for (let failures = 0; failures < 4; failures += 1) await fail(anAddress(), steady);
  for (let failures = 0; failures < 19; failures += 1) await fail(busy, someEmail());
  await turnClock('10 minutes');
  await fail(anAddress(), steady);
  await fail(busy, someEmail());
  await turnClock('10 minutes');
  await holdOff();
  assertSlow(await fail(anAddress(), steady));
  assert.deepEqual(problemOf(await fail(busy, someEmail())), wrong);
});

test('slow-down: of many guesses at once five are looked at, over two copies, and after each wait one', async () => {
  const second = await startCopy(service.settings);
  try {
    const { email, password } = await registerSomebody(service.call);
    const guessAtOnce = (passwords: string[]) =>
      Promise.all(
        passwords.map((guess, index) => logInFrom(anAddress(), email, guess, index % 2 === 0 ? service : second)),
      );
    const startedAt = performance.now();
    const first = codesOf(await guessAtOnce(Array.from({ length: 40 }, (_, index) => `guess number ${index}`)));
    const judged = first.filter((code) => code === wrong.code).length;
    // On a machine that is very slow some have waited for their second.
    assert.ok(judged >= 5 && judged <= 5 + (performance.now() - startedAt) / 1000, `${judged} were looked at`);
    assert.equal(first.filter((code) => code === slow.code).length, 40 - judged);

    // The right one among them is no exception.
    await service.db.pool.query('update failed_logins set failures = 10 where failures between 5 and 10');
    await letTry();
    const later = await guessAtOnce([...Array.from({ length: 19 }, (_, index) => `guess number ${index}`), password]);
    assert.equal(later.filter(({ status }) => status === 429).length, 19);
    assert.equal(later.filter(({ status }) => status !== 429).length, 1);
  } finally {
    await second.stop();
  }
});

test('slow-down: who began before the limit was reached and ends after it is held up too, right or wrong', async () => {
  const database = createDatabase({ url: service.db.url, service: 'user-service', logger: quietLogger });
  const guard = createLoginGuard({ secret: randomBytes(32), free: { account: 5, address: 20 }, logger: quietLogger });
  const email = someEmail();
  const admit = () => guard.admit(database, { email, clientIp: anAddress() });
  try {
    const [right, alsoWrong, ...wrongOnes] = await Promise.all(Array.from({ length: 7 }, admit));
    assert.ok(right && alsoWrong);
    await Promise.all(wrongOnes.map((attempt) => guard.fail(database, attempt)));
    await holdOff();
    await assert.rejects(guard.succeed(database, right), { code: slow.code });
    await assert.rejects(guard.fail(database, alsoWrong), { code: slow.code });
    await letTry();
    const claimed = await admit();
    await assert.rejects(admit(), { code: slow.code });
    await guard.succeed(database, claimed);
  } finally {
    await database.stop();
  }
});

test('slow-down: logins with the right password are free, however many and from wherever', async () => {
  const { email, password } = await registerSomebody(service.call);
  for (let round = 0; round < 3; round += 1) {
    const replies = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        logInFrom(index % 2 === 0 ? '198.19.0.1' : anAddress(), email, password),
      ),
    );
    assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
  }
});

test('slow-down: a try that is refused has its password not looked at, and counts as no failure', async () => {
  const { email, password } = await registerSomebody(service.call);
  await failFiveTimes(email);
  await holdOff();
  const counted = async () =>
    (await service.db.pool.query('select key, failures from failed_logins order by key')).rows;
  const before = await counted();
  for (let tries = 0; tries < 10; tries += 1) assertSlow(await fail(anAddress(), email));
  assert.deepEqual(await counted(), before);
  await letTry();
  assert.equal((await logInFrom(anAddress(), email, password)).status, 200);
});

test('slow-down: what is kept names nobody, and is purged when it counts no more', async () => {
  const { email, password } = await registerSomebody(service.call);
  const address = anAddress();
  await fail(address, email);
  await logInFrom(address, email, password);
  const { rows } = await service.db.pool.query(
    'select row_to_json(failed_logins)::text as row from failed_logins union all select row_to_json(familiar_addresses)::text from familiar_addresses',
  );
  for (const { row } of rows) assert.ok(!row.includes(address) && !row.includes(email));

  await turnClock('1 hour');
  await service.db.pool.query("update familiar_addresses set last_login_at = last_login_at - interval '31 days'");
  // Each process clears away when it starts.
  const copy = await startCopy(service.settings);
  await waitFor('nothing is left', async () => {
    const { rowCount } = await service.db.pool.query(
      'select key from failed_logins union all select key from familiar_addresses',
    );
    return rowCount === 0;
  }).finally(copy.stop);
});

test('slow-down: 0 switches it off, each kind by itself', async () => {
  const perAddress = await startCopy({ ...service.settings, LOGIN_FAILURES_PER_ACCOUNT: '0' });
  const none = await startCopy({
    ...service.settings,
    LOGIN_FAILURES_PER_ACCOUNT: '0',
    LOGIN_FAILURES_PER_ADDRESS: '0',
  });
  try {
    const [email, address] = [someEmail(), anAddress()];
    for (let failures = 0; failures < 25; failures += 1)
      assert.deepEqual(problemOf(await fail(address, email, none)), wrong);
    for (let failures = 0; failures < 20; failures += 1)
      assert.deepEqual(problemOf(await fail(address, email, perAddress)), wrong);
    await holdOff();
    assertSlow(await fail(address, email, perAddress));
    assert.deepEqual(problemOf(await fail(anAddress(), email, perAddress)), wrong);
  } finally {
    await Promise.all([perAddress.stop(), none.stop()]);
  }
});
