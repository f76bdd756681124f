// A user, and what the others are told of one.
import type { Role } from '@glasshouse/shared/auth';
import { type DomainEvent, userRegistered, userUpdated } from '@glasshouse/shared/contracts';

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

export interface Decision {
  user: User;
  /** Empty where the user stays as they are. */
  events: DomainEvent[];
}

const addressBookEntry = ({ id: userId, email, name, version }: User) => ({ userId, email, name, version });

export function register(input: Pick<User, 'id' | 'email' | 'name' | 'roles'>, now: Date): Decision {
  const user: User = { ...input, version: 1, createdAt: now };
  return { user, events: [userRegistered.of(addressBookEntry(user))] };
}

/** The name that a user has already changes nothing. */
export function rename(user: User, name: string): Decision {
  if (name === user.name) return { user, events: [] };
  const renamed = { ...user, name, version: user.version + 1 };
  return { user: renamed, events: [userUpdated.of(addressBookEntry(renamed))] };
}
