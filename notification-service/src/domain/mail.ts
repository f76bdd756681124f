// A mail to a customer about one fact of one order: what it is known by and what it says.
import type {
  CancelReason,
  EventDefinition,
  EventOf,
  Money,
  orderCancelled,
  orderConfirmed,
  orderDelivered,
  orderShipped,
  paymentRefunded,
} from '@glasshouse/shared/contracts';

export const occasions = [
  'order.confirmed',
  'order.cancelled',
  'order.shipped',
  'order.delivered',
  'payment.refunded',
] as const;
export type Occasion = (typeof occasions)[number];

/** Waiting for the address, due, or taken by the mail server. */
export const mailStatuses = ['waiting', 'due', 'sent'] as const;
export type MailStatus = (typeof mailStatuses)[number];

type FactOf<D extends EventDefinition> = Pick<EventOf<D>, 'type' | 'time' | 'data'>;

/** An event that the customer hears of. */
export type Fact =
  | FactOf<typeof orderConfirmed>
  | FactOf<typeof orderCancelled>
  | FactOf<typeof orderShipped>
  | FactOf<typeof orderDelivered>
  | FactOf<typeof paymentRefunded>;

export interface Recipient {
  email: string;
  name: string;
}

export interface Mail {
  id: string;
  fact: Fact;
  subject: string;
  status: MailStatus;
  /** As of when the mail became due: a later change of address is for later mails. Absent while it waits. */
  recipient?: Recipient | undefined;
  createdAt: Date;
  sentAt?: Date | undefined;
}

const DOMAIN = 'glasshouse.example';

/** An order can be refunded more than once, everything else happens to it once. */
export function refundIdOf(fact: Fact): string | undefined {
  return fact.type === 'payment.refunded' ? fact.data.refundId : undefined;
}

/** The same for every copy of a mail, so that a mailbox can tell that it has it already (RFC 5322, 3.6.4). */
export function messageIdOf(fact: Fact): string {
  const parts = [fact.data.orderId, fact.type, refundIdOf(fact)].filter((part) => part !== undefined);
  return `<${parts.join('.')}@${DOMAIN}>`;
}

/** @param now the database's clock */
export function write(id: string, fact: Fact, recipient: Recipient | undefined, now: Date): Mail {
  const status = recipient === undefined ? 'waiting' : 'due';
  return { id, fact, subject: subjectOf(fact), status, recipient, createdAt: now };
}

/** A formatter takes a hundred times as long to make as to use. */
const moneyFormats = new Map<string, Intl.NumberFormat>();

/** An amount as people write it; ISO 4217 says how many digits its minor units are. */
export function formatMoney({ amount, currency }: Money): string {
  const format = moneyFormats.get(currency) ?? new Intl.NumberFormat('en-US', { style: 'currency', currency });
  moneyFormats.set(currency, format);
  const digits = format.resolvedOptions().maximumFractionDigits ?? 0;
  // As a decimal string: a quotient of floats would be off for large amounts.
  return format.format(`${amount}e-${digits}` as `${number}`);
}

const timeFormat = new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });

export function subjectOf(fact: Fact): string {
  const { orderId } = fact.data;
  switch (fact.type) {
    case 'order.confirmed':
      return `Your order ${orderId} is confirmed`;
    case 'order.cancelled':
      return `Your order ${orderId} is cancelled`;
    case 'order.shipped':
      return `Your order ${orderId} is on its way`;
    case 'order.delivered':
      return `Your order ${orderId} has arrived`;
    case 'payment.refunded':
      return `Your refund of ${formatMoney(fact.data.amount)} for order ${orderId}`;
  }
}

const whyCancelled: Record<CancelReason, string> = {
  out_of_stock: 'We are sorry: there is not enough in stock to fulfil it.',
  payment_declined: 'The payment was declined. You have not been charged.',
  customer: 'You asked us to. If you were charged already, the money is on its way back to you.',
  timeout:
    'We are sorry: it could not be completed in time. If you were charged already, the money is on its way back.',
};

function paragraphsOf(fact: Fact): string[] {
  switch (fact.type) {
    case 'order.confirmed': {
      const lines = fact.data.items.map(({ productId, quantity, unitPrice }) => {
        const lineTotal = formatMoney({ amount: unitPrice.amount * quantity, currency: unitPrice.currency });
        return `  ${quantity} × ${formatMoney(unitPrice)} = ${lineTotal}  (product ${productId})`;
      });
      return [
        'Thank you for your order! It is paid, and we are getting it ready.',
        [...lines, `  Total: ${formatMoney(fact.data.total)}`].join('\n'),
      ];
    }
    case 'order.cancelled':
      return ['Your order is cancelled.', whyCancelled[fact.data.cancelReason]];
    case 'order.shipped':
      return ['Good news: your order has left our warehouse and is on its way to you.'];
    case 'order.delivered':
      return ['Your order has been delivered. We hope that you like it!'];
    case 'payment.refunded':
      return [`We have paid ${formatMoney(fact.data.amount)} back to you, the way that you paid.`];
  }
}

/** The plain text. It says when the fact happened, for mails may arrive late and in any order. */
export function textOf(fact: Fact, recipient: Recipient): string {
  const name = recipient.name.replace(/\s+/g, ' ').trim();
  return [
    `Hello${name === '' ? '' : ` ${name}`},`,
    ...paragraphsOf(fact),
    `Order: ${fact.data.orderId}\nTime: ${timeFormat.format(new Date(fact.time))} (UTC)`,
    'Yours, Glasshouse\n',
  ].join('\n\n');
}
