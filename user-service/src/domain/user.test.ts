// Unit tests of what the others are told of a user.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { register, rename } from './user.ts';

test('register: makes version 1 and tells what the address book needs', () => {
  const id = '01a1fe0d-6840-705d-afc8-0c769800bd6c';
  const now = new Date(0);
  const { user, events } = register({ id, email: 'A@example.com', name: 'A', roles: ['customer'] }, now);
  assert.deepEqual(user, { id, email: 'A@example.com', name: 'A', roles: ['customer'], version: 1, createdAt: now });
  const data = { userId: id, email: 'A@example.com', name: 'A', version: 1 };
  assert.deepEqual(events, [{ type: 'user.registered', subject: id, data }]);
});

test('rename: counts the version up and tells it, only where the name is another one', () => {
  const id = '01a1fe0d-6840-705d-afc8-0c769800bd6c';
  const input = { id, email: 'A@example.com', name: 'A', roles: ['customer' as const] };
  const { user: before } = register(input, new Date(0));
  assert.deepEqual(rename(before, 'A'), { user: before, events: [] });
  const { user, events } = rename(before, 'a');
  assert.deepEqual(user, { ...before, name: 'a', version: 2 });
  const data = { userId: id, email: 'A@example.com', name: 'a', version: 2 };
  assert.deepEqual(events, [{ type: 'user.updated', subject: id, data }]);
});
