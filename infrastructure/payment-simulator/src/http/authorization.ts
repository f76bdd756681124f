// Who may call: whoever presents the key, as a bearer token or in Basic authentication.
import { hash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

const digest = (text: string): Buffer => hash('sha256', text, 'buffer');

/**
 * Makes the check for one key. Basic authentication may carry it as the password (`http://:KEY@host`) or, with no password, as
 * the user, which is how Stripe has it (https://docs.stripe.com/api/authentication). Takes the same time whatever is presented.
 */
export function createKeyCheck(key: string): (headers: IncomingHttpHeaders) => boolean {
  const expected = digest(key);
  return ({ authorization }) => timingSafeEqual(digest(presentedKey(authorization)), expected);
}

function presentedKey(authorization = ''): string {
  const space = authorization.indexOf(' ');
  const scheme = authorization.slice(0, space).toLowerCase();
  const credentials = authorization.slice(space + 1).trim();
  if (scheme === 'bearer') return credentials;
  if (scheme !== 'basic') return '';
  const pair = Buffer.from(credentials, 'base64').toString();
  const colon = pair.indexOf(':');
  return colon < 0 ? pair : pair.slice(colon + 1) || pair.slice(0, colon);
}
