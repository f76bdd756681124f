// A user, and what the others are told of one.
import type { Role } from '@glasshouse/shared/auth';
import { type DomainEvent, userRegistered } from '@glasshouse/shared/contracts';

export interface User {
  id: string;
  /** As it was typed; unique whatever its case. */
  email: string;
  name: string;
  roles: Role[];
  /** Counts the changes that the others are told of. */
  version: number;
  createdAt: Date;
}

export function register(
  input: Pick<User, 'id' | 'email' | 'name' | 'roles'>,
  now: Date,
): { user: User; events: DomainEvent[] } {
  const user: User = { ...input, version: 1, createdAt: now };
  const { id: userId, email, name, version } = user;
  return { user, events: [userRegistered.of({ userId, email, name, version })] };
}
