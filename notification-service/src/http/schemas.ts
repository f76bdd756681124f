// What comes in and goes out over HTTP. Types and API documents come from here.
import { pageQuery } from '@glasshouse/shared/http';
import { z } from 'zod';
import { type Mail, mailStatuses, occasions } from '../domain/mail.ts';

export const listMailsQuery = z.strictObject({ ...pageQuery, orderId: z.uuid().toLowerCase().optional() });

export const mailSchema = z.object({
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
});

export const mailListSchema = z.object({ items: z.array(mailSchema), nextCursor: z.string().nullable() });

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
