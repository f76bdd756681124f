// The customers' own record: what they have asked for and what they were promised. It owes nothing to the platform's books.

/** An order as a customer sent it, under one Idempotency-Key however often. */
export interface Asked {
  key: string;
  /** Index of the customer. */
  customer: number;
  items: { productId: string; quantity: number; unitPrice: number }[];
  card: 'pm_card_visa' | 'pm_card_chargeDeclined';
  /** Whether the customer changes their mind. */
  cancels: boolean;
  /** The ids that answers with 201 have named; more than one is a fault. */
  ids: Set<string>;
  /** The total that the first 201 has named, in minor units. */
  total?: number;
  /** Whether the cancellation was answered with 202. */
  cancelled: boolean;
}

export interface CustomerRecord {
  asked: Asked[];
  /** Calls made; more than one for an order that was tried again. */
  calls: number;
  /** Answers by status; `none` where there was no answer. */
  answers: Map<number | 'none', number>;
  /** Answers that no customer should get, whatever is broken. */
  unexpected: string[];
  /** Orders that a customer has given up on without an answer. */
  givenUp: number;
}

export const createRecord = (): CustomerRecord => ({
  asked: [],
  calls: 0,
  answers: new Map(),
  unexpected: [],
  givenUp: 0,
});

/** How many answers said that the platform can't do it now. */
export function refusals({ answers }: CustomerRecord): { serverErrors: number; tooMany: number; unanswered: number } {
  let serverErrors = 0;
  for (const [status, count] of answers) if (status !== 'none' && status >= 500) serverErrors += count;
  return { serverErrors, tooMany: answers.get(429) ?? 0, unanswered: answers.get('none') ?? 0 };
}
