// The rules in force, in the order in which they were set. They are forgotten when the simulator stops.
import { setTimeout as delay } from 'node:timers/promises';
import { isSpent, type MoodRule, type MoodTerms } from './domain/mood.ts';
import { newId } from './identity.ts';

export type Moods = ReturnType<typeof createMoods>;

export function createMoods() {
  const rules = new Map<string, { rule: MoodRule; removed: AbortController }>();

  const remove = (id: string): MoodRule | undefined => {
    const entry = rules.get(id);
    rules.delete(id);
    entry?.removed.abort();
    return entry?.rule;
  };
  const list = (): MoodRule[] => [...rules.values()].map(({ rule }) => rule);

  return {
    add(terms: MoodTerms): MoodRule {
      const rule = { id: newId('mood'), ...terms, acted: 0 };
      rules.set(rule.id, { rule, removed: new AbortController() });
      return rule;
    },
    /** Spent ones too, so that one can see how often they acted. */
    list,
    /** Calls that wait under the rule go on at once. */
    remove,
    removeAll: (): MoodRule[] => list().map(({ id }) => remove(id) as MoodRule),

    /** The first rule that matches and is not spent; it has acted once more. */
    take(matches: (rule: MoodRule) => boolean): MoodRule | undefined {
      for (const entry of rules.values()) {
        if (isSpent(entry.rule) || !matches(entry.rule)) continue;
        entry.rule = { ...entry.rule, acted: entry.rule.acted + 1 };
        return entry.rule;
      }
      return undefined;
    },
    isInForce(id: string): boolean {
      const entry = rules.get(id);
      return entry !== undefined && !isSpent(entry.rule);
    },
    /** Waits as long as the rule says, or until it is removed. */
    async wait({ id, ms }: MoodRule): Promise<void> {
      const signal = rules.get(id)?.removed.signal;
      await delay(ms, undefined, { ...(signal && { signal }) }).catch(() => {});
    },
  };
}
