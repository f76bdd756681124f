// The payment provider: slow, failing, losing answers after it has charged, and gone.
import { setTimeout as delay } from 'node:timers/promises';
import type { MoodTerms } from '@glasshouse/payment-simulator/client';
import type { Scenario } from '../scenario.ts';

const moods: readonly { name: string; says: string; terms: MoodTerms; ms: number }[] = [
  { name: 'slow', says: 'takes 3 s for every call', terms: { mood: 'slow', ms: 3_000 }, ms: 15_000 },
  { name: 'failing', says: 'answers every call with 500 and does nothing', terms: { mood: 'failing' }, ms: 15_000 },
  {
    name: 'failing-done',
    says: 'does what it is asked and answers with 500 all the same',
    terms: { mood: 'failing', done: true },
    ms: 15_000,
  },
  {
    name: 'dropping',
    says: 'drops every answer after it has done what it was asked',
    terms: { mood: 'drop-after' },
    ms: 15_000,
  },
  { name: 'down', says: 'can’t be reached for a minute', terms: { mood: 'down' }, ms: 60_000 },
];

export const providerScenarios = moods.map(
  ({ name, says, terms, ms }): Scenario => ({
    name: `provider-${name}`,
    says: `The payment provider ${says}.`,
    async round({ world: { provider }, fault, tell }) {
      const { id } = await provider.setMood(terms);
      fault(`the payment provider is ${name}`);
      await delay(ms);
      await provider.endMood(id);
      tell('the payment provider is well');
      await delay(2_000);
    },
  }),
);
