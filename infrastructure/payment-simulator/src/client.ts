// The payment provider of a running platform: how it is to behave, and what it has in its books.
import type { MoodRule, MoodTerms } from './domain/mood.ts';

export type { MoodRule, MoodTerms } from './domain/mood.ts';

/** Amounts in minor units, currencies in lower case. */
export interface LedgerCharge {
  paymentIntentId: string;
  status: string;
  amount: number;
  currency: string;
  metadata: Record<string, string>;
  refunds: { refundId: string; amount: number; status: string; metadata: Record<string, string> }[];
}

/** @param ledgerUrl the simulator's URL with its key as the password: `AUDIT_LEDGER_URL` of a platform's `auditEnv` */
export function createProvider(ledgerUrl: string) {
  const { origin, password } = new URL(ledgerUrl);
  const headers = { authorization: `Bearer ${decodeURIComponent(password)}` };
  const call = async (method: string, path: string, body?: URLSearchParams): Promise<unknown> => {
    const response = await fetch(origin + path, { method, headers, ...(body && { body }) });
    if (response.status !== 200) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };

  return {
    /** Adds a rule; of several that match a call, the first acts. What they say: infrastructure/payment-simulator/README.md */
    setMood(terms: MoodTerms): Promise<MoodRule> {
      const pairs = Object.entries(terms).map(([name, value]) => [name, String(value)]);
      return call('POST', '/moods', new URLSearchParams(pairs)) as Promise<MoodRule>;
    },
    /** The rules that were set, also spent ones, with how often each has acted. */
    async moods(): Promise<MoodRule[]> {
      return ((await call('GET', '/moods')) as { items: MoodRule[] }).items;
    },
    /** Ends one mood. @returns the rule, with how often it has acted */
    endMood: (id: string): Promise<MoodRule> => call('DELETE', `/moods/${id}`) as Promise<MoodRule>,
    /** Ends all moods: calls that wait go on, charges that are processing are decided. */
    async calm(): Promise<void> {
      await call('DELETE', '/moods');
    },
    /**
     * Every charge, oldest first, with its refunds.
     * @param pageSize how many are asked for at a time
     */
    async ledger(pageSize = 100): Promise<LedgerCharge[]> {
      const charges: LedgerCharge[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const query = new URLSearchParams({ limit: String(pageSize), ...(cursor && { cursor }) });
        const page = (await call('GET', `/ledger?${query}`)) as { items: LedgerCharge[]; nextCursor: string | null };
        charges.push(...page.items);
        cursor = page.nextCursor;
      }
      return charges;
    },
  };
}

export type Provider = ReturnType<typeof createProvider>;
