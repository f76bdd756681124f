// The customers' own record: what they have asked for and what they were promised. It owes nothing to the platform's books.
import type { Answer, NoAnswer } from './caller.ts';

/** An order as a customer sent it, under one Idempotency-Key however often. */
export interface Asked {
  key: string;
  /** Index of the customer. */
  customer: number;
  items: { productId: string; quantity: number; unitPrice: number; isScarce: boolean }[];
  card: 'pm_card_visa' | 'pm_card_chargeDeclined';
  /** Whether the customer changes their mind. */
  cancels: boolean;
  /** Whether the customer asks once more after the answer, with the same key. */
  repeats: boolean;
  /** The ids that answers with 201 have named; more than one is a fault. */
  ids: Set<string>;
  /** The total that the first 201 has named, in minor units. */
  total?: number;
  /** Whether the cancellation was answered with 202. */
  cancelled: boolean;
}

export interface CustomerRecord {
  asked: Asked[];
  /** What came of the calls, each try counted: by status, or why there was none. */
  answers: Map<number | NoAnswer, number>;
  /** Answers that no customer should get, whatever is broken. */
  unexpected: string[];
  /** What customers have given up on, after two minutes without a final answer. */
  givenUp: string[];
}

export const createRecord = (): CustomerRecord => ({
  asked: [],
  answers: new Map(),
  unexpected: [],
  givenUp: [],
});

export function note({ answers }: CustomerRecord, answer: Answer | NoAnswer): void {
  const what = typeof answer === 'object' ? answer.status : answer;
  answers.set(what, (answers.get(what) ?? 0) + 1);
}

/** How many answers said that the platform can't do it now, and how many calls got none. */
export function refusals({ answers }: CustomerRecord): { refused: number; unanswered: number } {
  let refused = 0;
  let unanswered = 0;
  for (const [what, count] of answers)
    if (typeof what === 'string') unanswered += count;
    else if (what >= 500 || what === 429) refused += count;
  return { refused, unanswered };
}
