// Unit tests of password hashing, against vectors of Argon2's reference implementation among others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPasswords } from './passwords.ts';

const cheap = createPasswords({ memoryKib: 64, passes: 1, concurrency: 2 });

test('hash: salts each anew, and verify knows the password and no other', async () => {
  const [one, other] = await Promise.all([cheap.hash('correct horse'), cheap.hash('correct horse')]);
  assert.notEqual(one, other);
  for (const phc of [one, other]) {
    assert.equal(await cheap.verify('correct horse', phc), true);
    assert.equal(await cheap.verify('Correct horse', phc), false);
    assert.equal(await cheap.verify('', phc), false);
  }
});

test('verify: takes hashes that other implementations made, with other parameters', async () => {
  // https://github.com/P-H-C/phc-winner-argon2/blob/master/src/test.c
  const vectors = [
    '$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4',
    '$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc',
  ];
  for (const phc of vectors) {
    assert.equal(await cheap.verify('password', phc), true);
    assert.equal(await cheap.verify('differentpassword', phc), false);
  }
});

test('verify: when nobody has the e-mail address, does as much work as for a wrong password, and hash as much', async () => {
  const work: unknown[] = [];
  const counting = createPasswords({
    memoryKib: 128,
    passes: 2,
    concurrency: 1,
    async hashing(algorithm, { message, nonce, ...cost }) {
      work.push([algorithm, String(message).length, Buffer.from(nonce as Buffer).length, cost]);
      return Buffer.alloc(cost.tagLength);
    },
  });
  const phc = await counting.hash('some password');
  await counting.verify('wrong password', phc);
  await counting.verify('wrong password', undefined);
  assert.deepEqual(work[0], ['argon2id', 13, 16, { tagLength: 32, memory: 128, passes: 2, parallelism: 1 }]);
  assert.deepEqual(work.length, 3);
  assert.deepEqual(work[2], work[1]);
});

test('hash: when too many wait, sends the next away', async () => {
  const passwords = createPasswords({ memoryKib: 64, passes: 1, concurrency: 1 });
  const results = await Promise.allSettled(Array.from({ length: 150 }, () => passwords.hash('correct horse')));
  const refused = results.filter((result) => result.status === 'rejected');
  assert.ok(refused.length >= 40 && refused.length <= 50, `${refused.length} refused`);
  for (const { reason } of refused) assert.equal(reason.kind, 'unavailable');
  await passwords.hash('correct horse');
});
