// The passwords of this machine's platform: made up at the first start, kept in a file that only its owner can read.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** A secret for each name that is asked for; the same for ever once it was. */
export type Secrets = (name: string) => string;

/** @param file a JSON file; made at the first secret */
export function openSecrets(file: string): Secrets {
  const secrets: Record<string, string> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  return (name) => {
    const known = secrets[name];
    if (known !== undefined) return known;
    const secret = randomBytes(32).toString('base64url');
    secrets[name] = secret;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(secrets, null, 2), { mode: 0o600 });
    return secret;
  };
}
