// What can go wrong by the rules of the business.
import { AppError } from '@glasshouse/shared/errors';
import { MAX_ADDRESSES } from './address.ts';

export const emailInUse = () => new AppError('conflict', 'user.email-in-use', 'This e-mail address is in use.');
export const userNotFound = () => new AppError('not-found', 'user.not-found', 'There is no such user.');
export const addressNotFound = () => new AppError('not-found', 'address.not-found', 'There is no such address.');
export const tooManyAddresses = () =>
  new AppError('conflict', 'address.too-many', `Nobody may keep more than ${MAX_ADDRESSES} addresses.`);
/** The same for an unknown e-mail address and a wrong password: nobody is told who has an account. */
export const wrongCredentials = () =>
  new AppError('unauthenticated', 'credentials.wrong', 'The e-mail address or the password is wrong.');
/** @param retryAfterS in seconds; the same whether or not there is such an account */
export const loginSlowedDown = (retryAfterS: number) =>
  new AppError('throttled', 'login.slow-down', 'Too many logins have failed: wait before the next try.', {
    retryAfterS,
  });
/** The same for a token that is unknown, spent, expired or revoked. */
export const refreshTokenRefused = () =>
  new AppError('unauthenticated', 'refresh-token.invalid', 'The refresh token is not valid: log in again.');
export const passwordsBusy = () =>
  new AppError('unavailable', 'passwords.busy', 'Too many passwords are being checked right now.', { retryAfterS: 1 });
export const noSigningKey = () =>
  new AppError('unavailable', 'signing-keys.missing', 'There is no signing key yet.', {
    retryAfterS: 1,
    cause: new Error('the migrations make the first one'),
  });
