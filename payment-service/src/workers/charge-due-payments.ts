// Charges what is due, once: an intent is created, stored under the lease, and only then confirmed; whoever takes over goes on with the stored one.
import type { Logger } from '@glasshouse/shared/logger';
import { appendToOutbox, type Database, inTransaction } from '@glasshouse/shared/postgres';
import { withCausation } from '@glasshouse/shared/telemetry';
import { createWorker, type Worker } from '@glasshouse/shared/workers';
import type { IntentState, PaymentProvider } from '../clients/payment-provider.ts';
import {
  beginCharge,
  type ClaimedPayment,
  claimPayment,
  lockLeased,
  mayConfirm,
  postponePayment,
  updatePayment,
} from '../data/payment-repository.ts';
import type { Deps } from '../deps.ts';
import { settle } from '../domain/payment.ts';
import { refundRest } from '../handlers/undo-payment.ts';
import { askAgainSoon, retryAfter } from './retry.ts';

export function createChargeWorker(options: {
  database: Database;
  provider: PaymentProvider;
  wakeRefunds: Deps['wakeRefunds'];
  logger: Logger;
  concurrency: number;
  sweepIntervalMs: number;
}): Worker {
  const { database, provider, wakeRefunds, logger, concurrency, sweepIntervalMs } = options;

  /** @returns what the charge has come to, or undefined where this worker must not go on */
  const charge = async (claimed: ClaimedPayment): Promise<IntentState | undefined> => {
    const { payment, leaseToken, attempt } = claimed;
    const { id: paymentId, orderId, terms } = payment;
    if (terms === undefined) return undefined;
    if (payment.status === 'due') {
      const { amount, paymentMethod } = terms;
      const intentId = await provider.createIntent({
        paymentId,
        orderId,
        amount,
        paymentMethod,
        key: `payment-${paymentId}-${attempt}`,
      });
      if (!(await beginCharge(database, paymentId, leaseToken, intentId))) return undefined;
      return provider.confirmIntent(intentId);
    }
    const { intentId } = claimed;
    if (intentId === undefined) throw new Error(`payment ${paymentId} is being charged without an intent`);
    const state = await provider.retrieveIntent(intentId);
    if (state.kind !== 'unconfirmed') return state;
    if (payment.cancelRequested) return provider.cancelIntent(intentId);
    // Past the deadline nothing is confirmed any more: the order's cancellation is on its way.
    return (await mayConfirm(database, paymentId, leaseToken)) ? provider.confirmIntent(intentId) : state;
  };

  /** Writes the outcome and tells it, unless another worker has taken over. */
  const record = (claimed: ClaimedPayment, outcome: Parameters<typeof settle>[1]) =>
    inTransaction(database, async (tx) => {
      const current = await lockLeased(tx, claimed.payment.id, claimed.leaseToken);
      if (current === undefined || current.status !== 'charging') return false;
      const { payment, events } = settle(current, outcome);
      const [[told]] = await Promise.all([appendToOutbox(tx, events), updatePayment(tx, payment)]);
      if (payment.status !== 'captured' || !payment.cancelRequested) return true;
      // Cancelled while the charge was under way: it goes back at once, and the capture is the reason.
      await withCausation(told?.id, () => refundRest(tx, payment, { wakeRefunds }));
      return true;
    });

  return createWorker<ClaimedPayment>({
    name: 'charge worker',
    logger,
    concurrency,
    sweepIntervalMs,
    // While the provider is known to be down, payments stay as they are: with hundreds waiting, each would be claimed and put off every second.
    claim: async () => (provider.takesCalls() ? claimPayment(database) : undefined),
    async perform(claimed) {
      const { payment, leaseToken, failures } = claimed;
      try {
        const state = await charge(claimed);
        if (state === undefined || state.kind === 'unconfirmed' || state.kind === 'processing')
          return await postponePayment(database, payment.id, leaseToken, askAgainSoon);
        if (!(await record(claimed, state))) return;
        logger.info('charge settled', { paymentId: payment.id, orderId: payment.orderId, outcome: state.kind });
      } catch (error) {
        const retry = retryAfter(error, failures);
        logger.warn('a charge could not be settled; it is tried again', {
          error,
          paymentId: payment.id,
          seconds: retry.seconds,
        });
        await postponePayment(database, payment.id, leaseToken, retry);
      }
    },
  });
}
