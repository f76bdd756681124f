// What user-service tells the others.
import { z } from 'zod';
import { defineEvent } from './envelope.ts';

const userSchema = z.object({ userId: z.uuid(), email: z.email(), name: z.string(), version: z.int().positive() });

export const userRegistered = defineEvent({
  type: 'user.registered',
  from: 'user-service',
  to: ['notification-service'],
  subjectOf: (data) => data.userId,
  schema: userSchema,
});

export const userUpdated = defineEvent({
  type: 'user.updated',
  from: 'user-service',
  to: ['notification-service'],
  subjectOf: (data) => data.userId,
  schema: userSchema,
});
