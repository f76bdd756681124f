// What notification-service knows: its address book, and the mails it has written.
import type { MongoSource } from './mongo.ts';
import type { User } from './users.ts';

export interface Mail {
  id: string;
  orderId: string;
  occasion: string;
  /** Null for all but refunds. */
  refundId: string | null;
  status: 'waiting' | 'due' | 'sent';
}

export interface NotificationData {
  /** `email` and `name` are absent where the user is not known yet. */
  addressBook: (Pick<User, 'id' | 'version'> & Partial<User>)[];
  mails: Mail[];
  outbox: number;
}

export function readNotifications(source: MongoSource): Promise<NotificationData> {
  return source.inSnapshot(async ({ stream, count }) => {
    const addressBook: NotificationData['addressBook'] = [];
    for await (const { _id: id, version, email, name } of stream<Omit<User, 'id'> & { _id: string }>('address_book', [
      'email',
      'name',
      'version',
    ]))
      addressBook.push({ id, version, email, name });
    const mails: Mail[] = [];
    for await (const { _id: id, orderId, occasion, refundId, status } of stream<Omit<Mail, 'id'> & { _id: string }>(
      'mails',
      ['orderId', 'occasion', 'refundId', 'status'],
    ))
      mails.push({ id, orderId, occasion, refundId, status });
    return { addressBook, mails, outbox: await count('outbox', {}) };
  });
}
