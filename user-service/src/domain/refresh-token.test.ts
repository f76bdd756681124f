// Unit tests of the rules that refresh tokens live by.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf, judge, newRefreshToken, type RefreshToken } from './refresh-token.ts';

const fresh: RefreshToken = { familyId: 'f', userId: 'u', isSpent: false, isRevoked: false, isExpired: false };

test('judge: when a token is fresh, it is rotated; spent, its family is given away; ended, it is only refused', () => {
  assert.equal(judge(fresh), 'rotate');
  assert.equal(judge({ ...fresh, isSpent: true }), 'reuse');
  for (const ended of [{ isRevoked: true }, { isExpired: true }])
    for (const isSpent of [true, false]) assert.equal(judge({ ...fresh, ...ended, isSpent }), 'refuse');
  assert.equal(judge(undefined), 'refuse');
});

test('newRefreshToken: is 32 random bytes, never the same', () => {
  const tokens = Array.from({ length: 1_000 }, newRefreshToken);
  assert.equal(new Set(tokens).size, tokens.length);
  for (const token of tokens) assert.equal(Buffer.from(token, 'base64url').length, 32);
});

test('hashOf: is SHA-256', () => {
  // FIPS 180-2, appendix B.1.
  assert.equal(hashOf('abc').toString('hex'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});
