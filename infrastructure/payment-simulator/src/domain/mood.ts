// A mood: a rule about how the provider behaves towards the calls that it fits, for tests and for trying out what the platform does then.

export const calls = ['create', 'confirm', 'cancel', 'retrieve', 'refund', 'list-refunds'] as const;

/** One of the calls of /v1: `retrieve` reads a payment intent or a refund, the others are named after what they do. */
export type CallName = (typeof calls)[number];

/** Each mood, and the calls that it fits. `down` comes before any call is told from another. */
export const moodCalls = {
  slow: calls,
  failing: calls,
  'drop-before': calls,
  'drop-after': calls,
  down: [],
  refusing: ['refund'],
  'refund-failing': ['refund'],
  processing: ['create', 'confirm'],
} as const satisfies Record<string, readonly CallName[]>;

export type MoodName = keyof typeof moodCalls;

/** What a rule says, in the words of the wire. */
export type MoodTerms = {
  readonly mood: MoodName;
  /** Absent: every call that the mood fits. */
  readonly call?: CallName | undefined;
  /** Only calls about the charge or the refund of this order, by `metadata.orderId`. */
  readonly order_id?: string | undefined;
  /** How many calls it acts on, then it is spent; absent: until it is deleted. */
  readonly times?: number | undefined;
  /** How long `slow` waits, or `processing` lasts, in milliseconds. */
  readonly ms?: number | undefined;
  /** The error code that `refusing` gives. */
  readonly code?: string | undefined;
  /** Whether `failing` carries the call out before it answers 500. */
  readonly done?: boolean | undefined;
};

export type MoodRule = MoodTerms & {
  readonly id: string;
  /** How many calls it has acted on. */
  readonly acted: number;
};

/** What a rule needs to know of a call. */
export type MoodSubject = {
  readonly call: CallName;
  /** The orders that it is about: the one it names, the one of the charge or the refund that it names. */
  readonly orderIds: readonly unknown[];
  /** Whether it only asks for an answer that was given before. */
  readonly isReplay: boolean;
  /** Whether it makes a charge. */
  readonly confirms: boolean;
};

/** A replay can be slow or lost on its way like any call; what the provider decided the first time stays. */
const fitsReplays: ReadonlySet<MoodName> = new Set(['slow', 'drop-before', 'drop-after']);

export function fits(rule: MoodTerms, { call, orderIds, isReplay, confirms }: MoodSubject): boolean {
  const fitting: readonly CallName[] = moodCalls[rule.mood];
  return (
    fitting.includes(call) &&
    (rule.call === undefined || rule.call === call) &&
    (rule.order_id === undefined || orderIds.includes(rule.order_id)) &&
    (!isReplay || fitsReplays.has(rule.mood)) &&
    (rule.mood !== 'processing' || confirms)
  );
}

export const isSpent = ({ times, acted }: MoodRule): boolean => times !== undefined && acted >= times;
