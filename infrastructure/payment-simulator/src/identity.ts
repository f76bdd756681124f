// Ids as Stripe writes them, and its clock.
import { randomUUID } from 'node:crypto';

/** `pi_` and 32 random characters. */
export const newId = (prefix: 'ch' | 'mood' | 'pi' | 're' | 'req' | 'secret'): string =>
  `${prefix}_${randomUUID().replaceAll('-', '')}`;

/** Seconds since 1970. */
export const unixNow = (): number => Math.floor(Date.now() / 1000);
