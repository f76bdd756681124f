// The accounts that the README tells everybody of. For demos only: migrate.ts refuses them in production.
import { runWork } from '@glasshouse/shared/telemetry';
import { findCredentials } from '../data/user-repository.ts';
import type { Deps } from '../deps.ts';
import { type RegisterUser, registerUser } from './register-user.ts';

const demoUsers: RegisterUser[] = [
  { email: 'admin@example.com', name: 'Admin', password: 'admin-password', roles: ['customer', 'admin'] },
  { email: 'alice@example.com', name: 'Alice', password: 'alice-password', roles: ['customer'] },
];

/** Makes those that are not there yet; the others are told as of anybody who registers. */
export async function seedDemoUsers(deps: Pick<Deps, 'db' | 'passwords'>): Promise<void> {
  for (const user of demoUsers) {
    if ((await findCredentials(deps.db, user.email)) !== undefined) continue;
    await runWork({ correlationId: 'demo-data' }, { name: 'seed' }, () => registerUser(user, deps));
  }
}
