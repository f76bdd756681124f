// What comes in and goes out over HTTP. Types and API documents come from here.
import { roles } from '@glasshouse/shared/auth';
import { address, exampleAddress, listOf, pageQuery, text } from '@glasshouse/shared/http';
import { z } from 'zod';
import type { SavedAddress } from '../domain/address.ts';
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

export const registerBody = z
  .strictObject({
    email: z.string().trim().max(MAX_EMAIL_LENGTH).check(z.email()),
    password: password(MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH),
    name: text(1, 200),
  })
  .meta({ id: 'Register', examples: [{ email: 'bob@example.com', password: 'a long password', name: 'Bob Example' }] });

/** Laxer than a registration: what can't be anybody's is a 401 like any other. */
export const logInBody = z
  .strictObject({
    email: text(1, MAX_EMAIL_LENGTH),
    password: password(1, MAX_PASSWORD_LENGTH),
  })
  .meta({ id: 'LogIn', examples: [{ email: 'alice@example.com', password: 'alice-password' }] });

export const refreshTokenBody = z
  .strictObject({ refreshToken: z.string().min(1).max(4_096) })
  .meta({ id: 'RefreshToken', examples: [{ refreshToken: 'pX3mR0m7oKpUQF0v2a5dD1mJm0kq7x9w3YtN8cZbVhE' }] });

export const userSchema = z
  .object({
    id: z.uuid(),
    email: z.email(),
    name: z.string(),
    roles: z.array(z.enum(roles)),
    createdAt: z.iso.datetime(),
  })
  .meta({
    id: 'User',
    examples: [
      {
        id: '019c0f3e-7a10-7c3e-9d41-5b1f6f0a2c01',
        email: 'alice@example.com',
        name: 'Alice Example',
        roles: ['customer'],
        createdAt: '2026-11-21T10:15:00.000Z',
      },
    ],
  });

export const userListSchema = listOf(userSchema);

/** A field that is not given stays as it is. */
export const updateUserBody = z
  .strictObject({ name: text(1, 200).optional() })
  .meta({ id: 'UpdateUser', examples: [{ name: 'Alice Anders' }] });

export const listQuery = z.strictObject(pageQuery);

export const savedAddressSchema = z.object({ id: z.uuid(), ...address.shape, createdAt: z.iso.datetime() }).meta({
  id: 'SavedAddress',
  examples: [
    {
      id: '019c0f3f-2b40-7e19-9a6c-3d5e7f901b2c',
      ...exampleAddress,
      createdAt: '2026-11-21T10:15:00.000Z',
    },
  ],
});

export const savedAddressListSchema = listOf(savedAddressSchema);

export const tokenPairSchema = z
  .object({
    accessToken: z.string(),
    refreshToken: z.string(),
    tokenType: z.literal('Bearer'),
    /** How long the access token lives, in seconds. */
    expiresIn: z.int(),
  })
  .meta({
    id: 'TokenPair',
    examples: [
      {
        accessToken: 'eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl',
        refreshToken: 'pX3mR0m7oKpUQF0v2a5dD1mJm0kq7x9w3YtN8cZbVhE',
        tokenType: 'Bearer',
        expiresIn: 900,
      },
    ],
  });

export const jwksSchema = z
  .object({
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
  })
  .meta({
    id: 'KeySet',
    examples: [
      {
        keys: [
          {
            kty: 'RSA',
            kid: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs',
            use: 'sig',
            alg: 'RS256',
            n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP',
            e: 'AQAB',
          },
        ],
      },
    ],
  });

export function toUserJson({ version: _version, createdAt, ...rest }: User): z.input<typeof userSchema> {
  return { ...rest, createdAt: createdAt.toISOString() };
}

export function toAddressJson({ createdAt, ...rest }: SavedAddress): z.input<typeof savedAddressSchema> {
  return { ...rest, createdAt: createdAt.toISOString() };
}

/** @param expiresIn the access token's life, in seconds */
export function toTokenPairJson(pair: TokenPair, expiresIn: number): z.input<typeof tokenPairSchema> {
  return { ...pair, tokenType: 'Bearer', expiresIn };
}
