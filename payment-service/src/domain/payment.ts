// A payment and its state machine. `captured`, `failed` and `void` are final; money goes back only through refunds.
import {
  type DomainEvent,
  type ItemQuantity,
  type Money,
  paymentCaptured,
  paymentFailed,
} from '@glasshouse/shared/contracts';

export const paymentStatuses = ['due', 'charging', 'captured', 'failed', 'void'] as const;
export type PaymentStatus = (typeof paymentStatuses)[number];

export interface Item extends ItemQuantity {
  /** Absent in orders that were placed before it was told. */
  name?: string | undefined;
  unitPrice: Money;
}

/** What order.created tells; unknown while only other events of the order have come. */
export interface Terms {
  userId: string;
  amount: Money;
  paymentMethod: string;
  payBy: Date;
  /** Empty for an order that was placed before they were kept. */
  items: Item[];
}

export interface Payment {
  id: string;
  orderId: string;
  status: PaymentStatus;
  terms?: Terms | undefined;
  /** Whether the stock is held: no charge before. */
  reserved: boolean;
  /** Whether the order was cancelled: no new charge, and what is under way is undone. */
  cancelRequested: boolean;
  failureCode?: string | undefined;
  capturedAt?: Date | undefined;
  createdAt: Date;
  updatedAt: Date;
}

/** What is to be charged becomes known; a decision that was made before stays. */
export function note(payment: Payment, terms: Terms): Payment {
  return payment.terms === undefined ? { ...payment, terms } : payment;
}

export function reserve(payment: Payment): Payment {
  return { ...payment, reserved: true };
}

/** Whether a worker may begin the charge; the deadline is looked at where it does, by the database's clock. */
export function isChargeable(payment: Payment): boolean {
  return payment.status === 'due' && payment.terms !== undefined && payment.reserved && !payment.cancelRequested;
}

/** The order was cancelled. What is due will never be charged; what is being charged is for the worker to undo; what was captured is refunded. */
export function cancel(payment: Payment): Payment {
  return { ...payment, cancelRequested: true, status: payment.status === 'due' ? 'void' : payment.status };
}

/** What a charge came to, as the provider says. */
export type ChargeOutcome =
  | { kind: 'succeeded' }
  | { kind: 'declined'; code: string; message: string }
  | { kind: 'cancelled' };

/**
 * Ends a charge that is under way.
 * @returns the payment as it is now, and the facts to tell
 * @throws where no charge is under way: whoever calls has not looked at the state under the lock
 */
export function settle(payment: Payment, outcome: ChargeOutcome): { payment: Payment; events: DomainEvent[] } {
  const { id: paymentId, orderId, terms } = payment;
  if (payment.status !== 'charging' || terms === undefined)
    throw new Error(`payment ${paymentId} is not being charged`);
  const { userId, amount } = terms;
  switch (outcome.kind) {
    case 'succeeded':
      return {
        payment: { ...payment, status: 'captured' },
        events: [paymentCaptured.of({ orderId, userId, paymentId, amount })],
      };
    case 'declined':
      return {
        payment: { ...payment, status: 'failed', failureCode: outcome.code },
        events: [paymentFailed.of({ orderId, userId, code: outcome.code, message: outcome.message })],
      };
    case 'cancelled':
      return { payment: { ...payment, status: 'void' }, events: [] };
  }
}
