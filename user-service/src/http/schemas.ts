// What comes in and goes out over HTTP. Types and API documents come from here.
import { roles } from '@glasshouse/shared/auth';
import { text } from '@glasshouse/shared/http';
import { z } from 'zod';
import type { TokenPair } from '../domain/refresh-token.ts';
import type { User } from '../domain/user.ts';

/** RFC 5321's longest path, less its angle brackets. */
const MAX_EMAIL_LENGTH = 254;
const MIN_PASSWORD_LENGTH = 8;
const MAX_PASSWORD_LENGTH = 128;

/** Any characters, also ones that can't be typed, but no half of a surrogate pair: all of those would hash alike. Lengths in code points. */
const password = (min: number, max: number) =>
  z
    .string()
    .refine((value) => value.isWellFormed(), { message: 'has characters that are not allowed' })
    .refine((value) => [...value].length >= min && [...value].length <= max, {
      message: `has to have ${min} to ${max} characters`,
    })
    .meta({ minLength: min, maxLength: max, format: 'password' });

export const registerBody = z.strictObject({
  email: z.string().trim().max(MAX_EMAIL_LENGTH).check(z.email()),
  password: password(MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH),
  name: text(1, 200),
});

/** Laxer than a registration: what can't be anybody's is a 401 like any other. */
export const logInBody = z.strictObject({
  email: text(1, MAX_EMAIL_LENGTH),
  password: password(1, MAX_PASSWORD_LENGTH),
});

export const refreshTokenBody = z.strictObject({ refreshToken: z.string().min(1).max(4_096) });

export const userSchema = z.object({
  id: z.uuid(),
  email: z.email(),
  name: z.string(),
  roles: z.array(z.enum(roles)),
  createdAt: z.iso.datetime(),
});

export const tokenPairSchema = z.object({
  accessToken: z.string(),
  refreshToken: z.string(),
  tokenType: z.literal('Bearer'),
  /** How long the access token lives, in seconds. */
  expiresIn: z.int(),
});

export const jwksSchema = z.object({
  keys: z.array(
    z.object({
      kty: z.literal('RSA'),
      kid: z.string(),
      use: z.literal('sig'),
      alg: z.literal('RS256'),
      n: z.string(),
      e: z.string(),
    }),
  ),
});

export function toUserJson({ version: _version, createdAt, ...rest }: User): z.input<typeof userSchema> {
  return { ...rest, createdAt: createdAt.toISOString() };
}

/** @param expiresIn the access token's life, in seconds */
export function toTokenPairJson(pair: TokenPair, expiresIn: number): z.input<typeof tokenPairSchema> {
  return { ...pair, tokenType: 'Bearer', expiresIn };
}
