// Unit test of what the others are told of a new user.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { register } from './user.ts';

test('register: makes version 1 and tells what the address book needs', () => {
  const id = '01a1fe0d-6840-705d-afc8-0c769800bd6c';
  const now = new Date(0);
  const { user, events } = register({ id, email: 'A@example.com', name: 'A', roles: ['customer'] }, now);
  assert.deepEqual(user, { id, email: 'A@example.com', name: 'A', roles: ['customer'], version: 1, createdAt: now });
  const data = { userId: id, email: 'A@example.com', name: 'A', version: 1 };
  assert.deepEqual(events, [{ type: 'user.registered', subject: id, data }]);
});
