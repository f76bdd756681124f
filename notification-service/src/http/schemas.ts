// What comes in and goes out over HTTP. Types and API documents come from here.
import { listOf, pageQuery } from '@glasshouse/shared/http';
import { z } from 'zod';
import { type Mail, mailStatuses, occasions } from '../domain/mail.ts';

export const listMailsQuery = z.strictObject({ ...pageQuery, orderId: z.uuid().toLowerCase().optional() });

export const mailSchema = z
  .object({
    id: z.uuid(),
    orderId: z.uuid(),
    occasion: z.enum(occasions),
    channel: z.literal('email'),
    /** Empty while the address is not known. */
    to: z.string(),
    subject: z.string(),
    status: z.enum(mailStatuses),
    createdAt: z.iso.datetime(),
    sentAt: z.iso.datetime().optional(),
  })
  .meta({
    id: 'Mail',
    examples: [
      {
        id: '019c0f40-2b31-7d44-9be8-1f7a3c5d9e40',
        orderId: '019c0f40-1be2-7f5d-8a77-0d9e6c3b4a10',
        occasion: 'order.confirmed',
        channel: 'email',
        to: 'alice@example.com',
        subject: 'Your order is confirmed',
        status: 'sent',
        createdAt: '2026-11-21T10:15:00.000Z',
        sentAt: '2026-11-21T10:15:01.000Z',
      },
    ],
  });

export const mailListSchema = listOf(mailSchema);

export function toMailJson(mail: Mail): z.input<typeof mailSchema> {
  const { id, fact, recipient, subject, status, createdAt, sentAt } = mail;
  return {
    id,
    orderId: fact.data.orderId,
    occasion: fact.type,
    channel: 'email',
    to: recipient?.email ?? '',
    subject,
    status,
    createdAt: createdAt.toISOString(),
    ...(sentAt !== undefined && { sentAt: sentAt.toISOString() }),
  };
}
