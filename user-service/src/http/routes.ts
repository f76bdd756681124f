// The URL table.
import { type Answer, address, created, noContent, ok, type Route, route } from '@glasshouse/shared/http';
import type { Deps } from '../deps.ts';
import {
  addressNotFound,
  emailInUse,
  loginSlowedDown,
  noSigningKey,
  passwordsBusy,
  refreshTokenRefused,
  tooManyAddresses,
  userNotFound,
  wrongCredentials,
} from '../domain/errors.ts';
import type { TokenPair } from '../domain/refresh-token.ts';
import { addAddress } from '../handlers/add-address.ts';
import { getAddresses } from '../handlers/get-addresses.ts';
import { getUser, getUsers } from '../handlers/get-user.ts';
import { logIn } from '../handlers/log-in.ts';
import { logOut } from '../handlers/log-out.ts';
import { refreshTokens } from '../handlers/refresh-tokens.ts';
import { registerUser } from '../handlers/register-user.ts';
import { removeAddress } from '../handlers/remove-address.ts';
import { updateUser } from '../handlers/update-user.ts';
import {
  jwksSchema,
  listQuery,
  logInBody,
  refreshTokenBody,
  registerBody,
  savedAddressListSchema,
  savedAddressSchema,
  toAddressJson,
  tokenPairSchema,
  toTokenPairJson,
  toUserJson,
  updateUserBody,
  userListSchema,
  userSchema,
} from './schemas.ts';

/** Short, so that a new key is soon seen through any cache. */
const JWKS_MAX_AGE_S = 60;

/** No cache may keep tokens (RFC 6749, section 5.1). */
const tokens = (pair: TokenPair, expiresIn: number): Answer => ({
  ...ok(toTokenPairJson(pair, expiresIn)),
  headers: { 'Cache-Control': 'no-store' },
});

export const routes = (deps: Deps): Route[] => [
  route({
    method: 'post',
    path: '/v1/auth/register',
    access: 'anyone',
    operationId: 'registerUser',
    summary: 'Register',
    body: registerBody,
    answers: { 201: userSchema },
    problems: [emailInUse(), passwordsBusy()],
    async handle({ body }) {
      const user = await registerUser({ ...body, roles: ['customer'] }, deps);
      return created(toUserJson(user), `/api/v1/users/${user.id}`);
    },
  }),
  route({
    method: 'post',
    path: '/v1/auth/login',
    access: 'anyone',
    operationId: 'logIn',
    summary: 'Log in',
    body: logInBody,
    answers: { 200: tokenPairSchema },
    problems: [loginSlowedDown(4), wrongCredentials(), passwordsBusy(), noSigningKey()],
    handle: async ({ body, clientIp }) => tokens(await logIn({ ...body, clientIp }, deps), deps.accessTokens.ttlS),
  }),
  route({
    method: 'post',
    path: '/v1/auth/refresh',
    access: 'anyone',
    operationId: 'refreshTokens',
    summary: 'Get a new pair of tokens for a refresh token, which is spent by it',
    body: refreshTokenBody,
    answers: { 200: tokenPairSchema },
    problems: [refreshTokenRefused(), noSigningKey()],
    handle: async ({ body }) => tokens(await refreshTokens(body, deps), deps.accessTokens.ttlS),
  }),
  route({
    method: 'post',
    path: '/v1/auth/logout',
    access: 'anyone',
    operationId: 'logOut',
    summary: 'Log out: the refresh token and all that came before and after it are void',
    body: refreshTokenBody,
    answers: { 204: null },
    async handle({ body }) {
      await logOut(body, deps);
      return noContent();
    },
  }),
  route({
    method: 'get',
    path: '/v1/users/me',
    access: 'user',
    operationId: 'getMyProfile',
    summary: 'Get your own profile',
    answers: { 200: userSchema },
    problems: [userNotFound()],
    handle: async ({ user: { userId } }) => ok(toUserJson(await getUser({ userId }, deps))),
  }),
  route({
    method: 'patch',
    path: '/v1/users/me',
    access: 'user',
    operationId: 'updateMyProfile',
    summary: 'Change your own profile',
    body: updateUserBody,
    answers: { 200: userSchema },
    problems: [userNotFound()],
    handle: async ({ user: { userId }, body }) => ok(toUserJson(await updateUser({ ...body, userId }, deps))),
  }),
  route({
    method: 'get',
    path: '/v1/users/me/addresses',
    access: 'user',
    operationId: 'listMyAddresses',
    summary: 'List your own addresses, newest first',
    query: listQuery,
    answers: { 200: savedAddressListSchema },
    async handle({ user: { userId }, query }) {
      const { items, nextCursor } = await getAddresses({ ...query, userId }, deps);
      return ok({ items: items.map(toAddressJson), nextCursor });
    },
  }),
  route({
    method: 'post',
    path: '/v1/users/me/addresses',
    access: 'user',
    operationId: 'addAddress',
    summary: 'Keep one more address',
    body: address,
    answers: { 201: savedAddressSchema },
    problems: [userNotFound(), tooManyAddresses()],
    async handle({ user: { userId }, body }) {
      const saved = await addAddress({ userId, address: body }, deps);
      return created(toAddressJson(saved), `/api/v1/users/me/addresses/${saved.id}`);
    },
  }),
  route({
    method: 'delete',
    path: '/v1/users/me/addresses/:id',
    access: 'user',
    operationId: 'removeAddress',
    summary: 'Keep an address no longer',
    answers: { 204: null },
    problems: [addressNotFound()],
    async handle({ user: { userId }, params }) {
      await removeAddress({ userId, addressId: params.id }, deps);
      return noContent();
    },
  }),
  route({
    method: 'get',
    path: '/v1/users',
    access: 'admin',
    operationId: 'listUsers',
    summary: 'List all users, newest first',
    query: listQuery,
    answers: { 200: userListSchema },
    async handle({ query }) {
      const { items, nextCursor } = await getUsers(query, deps);
      return ok({ items: items.map(toUserJson), nextCursor });
    },
  }),
  // After `me`, which it would take for an id.
  route({
    method: 'get',
    path: '/v1/users/:id',
    access: 'admin',
    operationId: 'getUser',
    summary: 'Get a user',
    answers: { 200: userSchema },
    problems: [userNotFound()],
    handle: async ({ params }) => ok(toUserJson(await getUser({ userId: params.id }, deps))),
  }),
  route({
    method: 'get',
    path: '/.well-known/jwks.json',
    access: 'anyone',
    operationId: 'getPublicKeys',
    summary: 'The public keys that access tokens are checked with',
    answers: { 200: jwksSchema },
    handle: async () => ({
      ...ok(await deps.signingKeys.publicKeys(deps.db)),
      headers: { 'Cache-Control': `public, max-age=${JWKS_MAX_AGE_S}` },
    }),
  }),
];
