// What user-service knows.
import type { PostgresSource } from './postgres.ts';

export interface User {
  id: string;
  email: string;
  name: string;
  version: number;
}

export interface UserData {
  users: User[];
  outbox: number;
}

export function readUsers(source: PostgresSource): Promise<UserData> {
  return source.inSnapshot(async ({ rows }) => {
    const users = await rows<User>('select id, email, name, version from users');
    const [outbox] = await rows<{ rows: number }>('select count(*) as rows from outbox');
    return { users, outbox: outbox?.rows ?? 0 };
  });
}
