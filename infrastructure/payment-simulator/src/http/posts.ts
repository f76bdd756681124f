// The one place that every POST passes: idempotency keys, the transaction, and the mood that the provider is in.
import { hash } from 'node:crypto';
import { type Answer, invalid, refusal, serverError } from '../answer.ts';
import type { Ledger } from '../data/ledger.ts';
import type { Prepare, Work } from './routes.ts';

/** An answer as it goes out. `originalRequestId` is set where it is an earlier one given again. */
export type SealedAnswer = { readonly status: number; readonly body: string; readonly originalRequestId?: string };

export type Post = {
  /** The route, such as `POST /v1/refunds`. */
  readonly name: string;
  readonly path: string;
  readonly id: string;
  readonly parameters: Record<string, unknown>;
  readonly prepare: Prepare;
  readonly idempotencyKey: string | undefined;
  readonly requestId: string;
};

/** Carries out the work and keeps its answer under the idempotency key, in one transaction that is on the disk when this returns. */
export type Settle = (work: Work) => SealedAnswer;

/**
 * How the provider behaves towards a call whose parameters are right. A calm one settles the work. Another may wait before or
 * after, settle other work in its place, or not settle at all; while it waits, the key is in use.
 */
export type Mood = (post: Post, work: Work, settle: Settle) => SealedAnswer | Promise<SealedAnswer>;

const calm: Mood = (_post, work, settle) => settle(work);

/**
 * Answers POSTs as Stripe does (https://docs.stripe.com/api/idempotent_requests): the first answer that came from carrying a call
 * out, whatever it was, is given again for its key for ever; a call refused for its parameters leaves the key free.
 */
export function createPostDoor({ ledger, mood = calm }: { ledger: Ledger; mood?: Mood | undefined }) {
  const inProgress = new Set<string>();

  return async function answerPost(post: Post): Promise<SealedAnswer> {
    const { idempotencyKey: key } = post;
    const requestHash = key === undefined ? '' : hashOf(post);
    if (key !== undefined) {
      if (key.length > 255) return seal(invalid('An idempotency key has at most 255 characters.'));
      if (inProgress.has(key)) return seal(keyInUse());
      const kept = ledger.findAnswer(key);
      if (kept !== undefined) {
        if (kept.requestHash !== requestHash) return seal(keyOfAnother());
        return { status: kept.status, body: kept.body, originalRequestId: kept.requestId };
      }
    }
    const prepared = post.prepare(post.parameters, post.id);
    if ('refused' in prepared) return seal(prepared.refused);

    const settle: Settle = (work) =>
      ledger.transaction(() => {
        const answer = seal(work(ledger));
        if (key !== undefined) ledger.keepAnswer({ key, requestHash, requestId: post.requestId, ...answer });
        return answer;
      });
    if (key !== undefined) inProgress.add(key);
    try {
      return await mood(post, prepared.work, settle);
    } catch (error) {
      console.error(`${post.requestId} ${post.name} failed:`, error);
      return settle(serverError);
    } finally {
      if (key !== undefined) inProgress.delete(key);
    }
  };
}

export const seal = (answer: Answer): SealedAnswer => ({ status: answer.status, body: JSON.stringify(answer.body) });

/** The order in which parameters are sent does not matter. */
function hashOf({ path, parameters }: Post): string {
  return hash('sha256', `${path}?${JSON.stringify(sorted(parameters))}`);
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.entries(value)
    .map(([key, inner]) => [key, sorted(inner)])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

const keyInUse = (): Answer =>
  refusal(409, {
    type: 'idempotency_error',
    code: 'idempotency_key_in_use',
    message: 'A request with this idempotency key is in progress. Try again when it has ended.',
  });

const keyOfAnother = (): Answer =>
  refusal(400, {
    type: 'idempotency_error',
    message: 'This idempotency key was first used for another request. Use a new one.',
  });
