// The one place that every call passes: idempotency keys, the transaction, and the mood that the provider is in.
import { hash } from 'node:crypto';
import { type Answer, invalid, refusal, serverError } from '../answer.ts';
import type { Ledger } from '../data/ledger.ts';
import { type CallName, fits, type MoodRule } from '../domain/mood.ts';
import { settleProcessed } from '../handlers/payment-intents.ts';
import type { Moods } from '../moods.ts';
import type { Prepare, Work } from './routes.ts';

/** An answer as it goes out. `originalRequestId` is set where it is an earlier one given again. */
export type SealedAnswer = { readonly status: number; readonly body: string; readonly originalRequestId?: string };

export type Call = {
  /** The route, such as `POST /v1/refunds`. */
  readonly name: string;
  /** Its name to the moods; none of them touches a call without one. */
  readonly call: CallName | undefined;
  readonly path: string;
  readonly id: string;
  readonly parameters: Record<string, unknown>;
  readonly prepare: Prepare;
  readonly idempotencyKey: string | undefined;
  readonly requestId: string;
};

/**
 * Answers calls as Stripe does (https://docs.stripe.com/api/idempotent_requests): the first answer that came from carrying a call
 * out, whatever it was, is given again for its key for ever; a call refused for its parameters leaves the key free, and the moods alone.
 * What a call has changed is on the disk when the answer is returned; `dropped` is returned where there is to be none.
 */
export function createDoor({ ledger, moods }: { ledger: Ledger; moods: Moods }) {
  const inProgress = new Set<string>();

  return async function answerCall(call: Call): Promise<SealedAnswer | 'dropped'> {
    const { idempotencyKey: key } = call;
    const requestHash = key === undefined ? '' : hashOf(call);
    let earlier: SealedAnswer | undefined;
    if (key !== undefined) {
      if (key.length > 255) return seal(invalid('An idempotency key has at most 255 characters.'));
      if (inProgress.has(key)) return seal(keyInUse());
      const kept = ledger.findAnswer(key);
      if (kept !== undefined && kept.requestHash !== requestHash) return seal(keyOfAnother());
      if (kept !== undefined) earlier = { status: kept.status, body: kept.body, originalRequestId: kept.requestId };
    }
    const prepared = call.prepare(call.parameters, call.id);
    if ('refused' in prepared) return seal(prepared.refused);

    const rule = takeMood(call, earlier !== undefined);
    const settle = (work: Work): SealedAnswer =>
      ledger.transaction(() => {
        settleProcessed({ ledger, moods });
        const answer = seal(work({ ledger, moods, rule }));
        if (key !== undefined) ledger.keepAnswer({ key, requestHash, requestId: call.requestId, ...answer });
        return answer;
      });
    if (key !== undefined) inProgress.add(key);
    try {
      if (rule?.mood === 'drop-before') return 'dropped';
      if (rule?.mood === 'slow') await moods.wait(rule);
      const answer = earlier ?? settle(underMood(rule, prepared.work));
      return rule?.mood === 'drop-after' ? 'dropped' : answer;
    } catch (error) {
      console.error(`${call.requestId} ${call.name} failed:`, error);
      return settle(() => serverError());
    } finally {
      if (key !== undefined) inProgress.delete(key);
    }
  };

  function takeMood({ call, id, parameters }: Call, isReplay: boolean): MoodRule | undefined {
    if (call === undefined) return undefined;
    const { metadata, payment_intent: intentId = id, confirm } = parameters;
    const refund = ledger.findRefund(id);
    const intent = ledger.findPaymentIntent(String(refund?.payment_intent ?? intentId));
    const named = metadata as Record<string, unknown> | undefined;
    const orderIds = [named?.orderId, refund?.metadata?.orderId, intent?.metadata.orderId];
    const confirms = call === 'confirm' || confirm === 'true';
    return moods.take((rule) => fits(rule, { call, orderIds, isReplay, confirms }));
  }
}

/** What the provider does in a mood in place of `work`. Moods that change only how it is done are told to it. */
function underMood(rule: MoodRule | undefined, work: Work): Work {
  if (rule?.mood === 'failing') {
    return (deps) => {
      if (rule.done) work(deps);
      return serverError('The provider is in the mood to fail.');
    };
  }
  if (rule?.mood === 'refusing') {
    return () => invalid('The provider is in the mood to refuse.', { ...(rule.code && { code: rule.code }) });
  }
  return work;
}

export const seal = (answer: Answer): SealedAnswer => ({ status: answer.status, body: JSON.stringify(answer.body) });

/** The order in which parameters are sent does not matter. */
function hashOf({ path, parameters }: Call): string {
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
