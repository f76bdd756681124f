// What the handlers are given.
import type { Logger } from '@glasshouse/shared/logger';
import type { Db } from '@glasshouse/shared/postgres';
import type { AccessTokens } from './security/access-tokens.ts';
import type { LoginGuard } from './security/login-guard.ts';
import type { Passwords } from './security/passwords.ts';
import type { SigningKeys } from './security/signing-keys.ts';

export interface Deps {
  db: Db;
  passwords: Passwords;
  loginGuard: LoginGuard;
  signingKeys: SigningKeys;
  accessTokens: AccessTokens;
  refreshTokenTtlS: number;
  logger: Logger;
}
