// The event table: which event becomes which command.
import {
  orderCancelled,
  orderConfirmed,
  orderDelivered,
  orderShipped,
  paymentRefunded,
  userRegistered,
  userUpdated,
} from '@glasshouse/shared/contracts';
import { on, type Subscription } from '@glasshouse/shared/event-bus';
import type { Deps } from '../deps.ts';
import { updateAddressBook } from '../handlers/update-address-book.ts';
import { writeMail } from '../handlers/write-mail.ts';

export const subscriptions: Subscription<Deps>[] = [
  on(userRegistered, updateAddressBook, ({ data }) => data),
  on(userUpdated, updateAddressBook, ({ data }) => data),
  on(orderConfirmed, writeMail, (fact) => ({ fact })),
  on(orderCancelled, writeMail, (fact) => ({ fact })),
  on(orderShipped, writeMail, (fact) => ({ fact })),
  on(orderDelivered, writeMail, (fact) => ({ fact })),
  on(paymentRefunded, writeMail, (fact) => ({ fact })),
];
