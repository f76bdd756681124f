// Makes the refunds that are due, once each: a refund first looks for itself at the provider.
import type { Logger } from '@glasshouse/shared/logger';
import { appendToOutbox, type Database, inTransaction } from '@glasshouse/shared/postgres';
import { createWorker, type Worker } from '@glasshouse/shared/workers';
import { type PaymentProvider, ProviderError, type RefundState } from '../clients/payment-provider.ts';
import { type ClaimedRefund, claimRefund, postponeRefund, settleRefund } from '../data/refund-repository.ts';
import { refundEvent } from '../domain/refund.ts';
import { askAgainSoon, retryAfter } from './retry.ts';

export function createRefundWorker(options: {
  database: Database;
  provider: PaymentProvider;
  logger: Logger;
  concurrency: number;
  sweepIntervalMs: number;
}): Worker {
  const { database, provider, logger, concurrency, sweepIntervalMs } = options;

  const make = async ({ refund, intentId, orderId, attempt }: ClaimedRefund): Promise<RefundState> => {
    const found = await provider.findRefund(intentId, refund.id);
    if (found !== undefined) return found;
    try {
      const key = `refund-${refund.id}-${attempt}`;
      return await provider.createRefund({ intentId, refundId: refund.id, orderId, amount: refund.amount.amount, key });
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      if (error.fault === 'refused')
        logger.error('the provider refuses a refund; it stays open', { error, refundId: refund.id, orderId });
      if (error.fault !== 'final') throw error;
      // It may be refused because it was made meanwhile, by a try whose answer was lost.
      return (await provider.findRefund(intentId, refund.id)) ?? 'failed';
    }
  };

  const record = (claimed: ClaimedRefund, state: 'succeeded' | 'failed') =>
    inTransaction(database, async (tx) => {
      const { refund, leaseToken, orderId, userId } = claimed;
      if (!(await settleRefund(tx, refund.id, leaseToken, state))) return false;
      await appendToOutbox(tx, [refundEvent(refund, { orderId, userId }, state === 'succeeded')]);
      return true;
    });

  return createWorker<ClaimedRefund>({
    name: 'refund worker',
    logger,
    concurrency,
    sweepIntervalMs,
    // While the provider is known to be down, refunds stay as they are.
    claim: async () => (provider.takesCalls() ? claimRefund(database) : undefined),
    async perform(claimed) {
      const { refund, leaseToken, failures } = claimed;
      try {
        const state = await make(claimed);
        if (state === 'pending') return await postponeRefund(database, refund.id, leaseToken, askAgainSoon);
        if (!(await record(claimed, state))) return;
        logger.info('refund settled', { refundId: refund.id, orderId: claimed.orderId, outcome: state });
      } catch (error) {
        const retry = retryAfter(error, failures);
        logger.warn('a refund could not be settled; it is tried again', {
          error,
          refundId: refund.id,
          seconds: retry.seconds,
        });
        await postponeRefund(database, refund.id, leaseToken, retry);
      }
    },
  });
}
