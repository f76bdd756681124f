// What calls are carried out with.
import type { Ledger } from './data/ledger.ts';
import type { MoodRule } from './domain/mood.ts';
import type { Moods } from './moods.ts';

export type Deps = {
  readonly ledger: Ledger;
  readonly moods: Moods;
  /** The mood that acts on this call, if one does. */
  readonly rule?: MoodRule | undefined;
};
