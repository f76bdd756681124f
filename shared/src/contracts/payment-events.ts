// What payment-service tells the others: what became of the money.
import { z } from 'zod';
import { defineEvent } from './envelope.ts';
import { moneySchema } from './types.ts';

export const paymentCaptured = defineEvent({
  type: 'payment.captured',
  from: 'payment-service',
  to: ['order-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({ orderId: z.uuid(), userId: z.uuid(), paymentId: z.uuid(), amount: moneySchema }),
});

export const paymentFailed = defineEvent({
  type: 'payment.failed',
  from: 'payment-service',
  to: ['order-service'],
  subjectOf: (data) => data.orderId,
  schema: z.object({ orderId: z.uuid(), userId: z.uuid(), code: z.string(), message: z.string() }),
});

const refundSchema = z.object({
  orderId: z.uuid(),
  userId: z.uuid(),
  paymentId: z.uuid(),
  refundId: z.uuid(),
  amount: moneySchema,
  cause: z.enum(['cancel', 'admin']),
});

export const paymentRefunded = defineEvent({
  type: 'payment.refunded',
  from: 'payment-service',
  to: ['order-service', 'notification-service'],
  subjectOf: (data) => data.orderId,
  schema: refundSchema,
});

export const paymentRefundFailed = defineEvent({
  type: 'payment.refund-failed',
  from: 'payment-service',
  to: ['order-service'],
  subjectOf: (data) => data.orderId,
  schema: refundSchema,
});
