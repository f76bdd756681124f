// The calls on /moods.
import type { z } from 'zod';
import { type Answer, missing, ok } from '../answer.ts';
import type { Deps } from '../deps.ts';
import type { moodParameters } from '../http/parameters.ts';

export function addMood(command: z.output<typeof moodParameters>, { moods }: Deps): Answer {
  return ok(moods.add(command));
}

export function listMoods(_command: object, { moods }: Deps): Answer {
  return ok({ items: moods.list() });
}

/** Ends one mood, and answers how often it acted. Charges that it kept processing are decided. */
export function removeMood(_command: object, { ledger, moods }: Deps, id: string): Answer {
  const rule = moods.remove(id);
  if (rule === undefined) return missing('mood', id, 'id');
  ledger.endProcessing(id);
  return ok(rule);
}

/** Ends every mood, as above. */
export function removeMoods(_command: object, { ledger, moods }: Deps): Answer {
  const items = moods.removeAll();
  for (const { id } of items) ledger.endProcessing(id);
  return ok({ items });
}
