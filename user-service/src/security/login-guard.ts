// Slows down who guesses passwords: each login is admitted before its password is looked at, and its outcome counted. Copies of the service share the counters.
import { createHmac, hkdfSync } from 'node:crypto';
import type { Logger } from '@glasshouse/shared/logger';
import { type Db, inTransaction } from '@glasshouse/shared/postgres';
import { ipKeyGenerator } from 'express-rate-limit';
import {
  type CounterKeys,
  createAndLockCounters,
  deleteCounter,
  isFamiliar,
  lockCounters,
  makeFamiliar,
  updateCounters,
} from '../data/failed-login-repository.ts';
import { loginSlowedDown } from '../domain/errors.ts';
import { type Counter, claimTry, countFailure, type FreeFailures, secondsToWait } from '../domain/slow-down.ts';

/** A login that was admitted. */
export interface Attempt {
  counters: CounterKeys;
  /** Those that everybody has to wait for: this try alone need not. */
  claimed: ReadonlySet<string>;
  /** Of account and address together. */
  familiarKey: string;
}

export interface LoginGuard {
  /**
   * The same for an account that does not exist.
   * @throws AppError `throttled` where the try has to wait
   */
  admit(db: Db, who: { email: string; clientIp: string }): Promise<Attempt>;
  /** @throws AppError `throttled` where others have failed so often meanwhile that this try came too early: then it was none */
  fail(db: Db, attempt: Attempt): Promise<void>;
  /** @throws AppError `throttled` as for `fail`: or the right one of many guesses at once would get through */
  succeed(db: Db, attempt: Attempt): Promise<void>;
}

/** @param secret who has it could find out whose address was counted by trying them all */
export function createLoginGuard(options: { secret: Buffer; free: FreeFailures; logger: Logger }): LoginGuard {
  const { free, logger } = options;
  const hmacKey = Buffer.from(hkdfSync('sha256', options.secret, '', 'login-guard', 32));
  const keyOf = (...parts: string[]) => createHmac('sha256', hmacKey).update(JSON.stringify(parts)).digest('hex');

  const refuse = (counters: readonly Counter[], claimed: ReadonlySet<string>, now: Date) => {
    const waits = counters.map((counter) => (claimed.has(counter.key) ? 0 : secondsToWait(counter, free, now)));
    const longest = Math.max(0, ...waits);
    if (longest > 0) throw loginSlowedDown(longest);
  };

  return {
    async admit(db, { email, clientIp }) {
      const account = email.toLowerCase();
      // An IPv4 address, or the /56 that an IPv6 address belongs to: that much one subscriber has.
      const address = ipKeyGenerator(clientIp);
      const familiarKey = keyOf('account and address', account, address);
      // Not by the address where the account is known: docs/adr/0014-slow-down-against-guessing.md.
      const counted: CounterKeys = (await isFamiliar(db, familiarKey))
        ? [{ key: familiarKey, kind: 'account' }]
        : [
            { key: keyOf('account', account), kind: 'account' },
            { key: keyOf('address', address), kind: 'address' },
          ];
      const counters = counted.filter(({ kind }) => free[kind] > 0);
      return inTransaction(db, async (tx) => {
        const before = await lockCounters(tx, counters);
        refuse(before, new Set(), tx.now);
        const claims = before
          .map((counter) => claimTry(counter, free, tx.now))
          .filter((claim) => !before.includes(claim));
        if (claims.length > 0) await updateCounters(tx, claims);
        return { counters, claimed: new Set(claims.map(({ key }) => key)), familiarKey };
      });
    },
    async fail(db, { counters, claimed }) {
      await inTransaction(db, async (tx) => {
        const before = await createAndLockCounters(tx, counters);
        refuse(before, claimed, tx.now);
        const after = before.map((counter) => countFailure(counter, free, tx.now));
        await updateCounters(tx, after);
        for (const { kind, key, failures } of after)
          if (failures === free[kind])
            tx.afterCommit(() => logger.warn('many failed logins: the next have to wait', { counter: kind, key }));
      });
    },
    async succeed(db, { counters, claimed, familiarKey }) {
      await inTransaction(db, async (tx) => {
        const before = await lockCounters(tx, counters);
        refuse(before, claimed, tx.now);
        // That of the address stays: whoever guesses may well have an account of their own.
        for (const { key, kind } of before) if (kind === 'account') await deleteCounter(tx, key);
        await makeFamiliar(tx, familiarKey);
      });
    },
  };
}
