// What a confirmed order costs in durable commits and confirmed deliveries, read from the code: the floor does exactly these, and nothing else.
//
// | step                                         | code                                                                          |
// | -------------------------------------------- | ----------------------------------------------------------------------------- |
// | the order is placed                          | order-service/src/handlers/place-order.ts, `placeOrder`                       |
// | an event is published, and taken out again   | shared/src/event-bus/outbox-relay.ts, `relay`: one removal for each event     |
// | the stock is held, later sold                | product-service/src/handlers/hold-stock.ts, sell-stock.ts                     |
// | the payment is noted, the charge allowed     | payment-service/src/handlers/note-payment.ts, allow-charge.ts                 |
// | the charge is claimed, begun, recorded       | payment-service/src/workers/charge-due-payments.ts                            |
// | the order is confirmed                       | order-service/src/handlers/confirm-order.ts                                   |
// | a mail is written, claimed, recorded as sent | notification-service/src/handlers/write-mail.ts, workers/send-due-mails.ts    |
//
// A handler's inbox row commits with its change. What only reads commits nothing. The payment provider, the mail server and their own disks are
// not counted: they stand for others' servers.

/** The databases that an order passes through. */
export type Store = 'orders' | 'payments' | 'products' | 'notifications';
/** The queues that its events go to. */
export type Queue = 'order-service' | 'payment-service' | 'product-service' | 'notification-service';

export type Step = { what: string } & (
  | { does: 'transaction'; on: Store }
  /** One statement that commits by itself. */
  | { does: 'statement'; on: Store }
  /** Published with a confirm to these queues, delivered to a consumer of each, acknowledged. */
  | { does: 'publish'; to: readonly Queue[] }
  /** A transaction whose commit is not waited for any more. */
  | { does: 'begin'; on: Store }
);

/**
 * What happens one after the other between the request and the confirmation. It ends where the confirmation's time is read, in the last
 * transaction, as the timeline has it. `notePayment` goes beside `holdStock`, and the removals from the outbox beside what follows: neither is waited for.
 */
export const criticalPath: readonly Step[] = [
  { does: 'transaction', on: 'orders', what: 'placeOrder' },
  { does: 'publish', to: ['product-service'], what: 'order.created' },
  { does: 'transaction', on: 'products', what: 'holdStock' },
  { does: 'publish', to: ['payment-service'], what: 'inventory.reserved' },
  { does: 'transaction', on: 'payments', what: 'allowCharge' },
  { does: 'statement', on: 'payments', what: 'claimPayment' },
  { does: 'statement', on: 'payments', what: 'beginCharge' },
  { does: 'transaction', on: 'payments', what: 'the outcome of the charge' },
  { does: 'publish', to: ['order-service'], what: 'payment.captured' },
  { does: 'begin', on: 'orders', what: 'confirmOrder' },
];

/** Everything that is committed and delivered for one order until nothing is left to do. */
export const wholeOrder: readonly Step[] = [
  { does: 'transaction', on: 'orders', what: 'placeOrder' },
  { does: 'publish', to: ['product-service', 'payment-service'], what: 'order.created' },
  { does: 'statement', on: 'orders', what: 'order.created leaves the outbox' },
  { does: 'transaction', on: 'payments', what: 'notePayment' },
  { does: 'transaction', on: 'products', what: 'holdStock' },
  { does: 'publish', to: ['payment-service', 'order-service'], what: 'inventory.reserved' },
  { does: 'statement', on: 'products', what: 'inventory.reserved leaves the outbox' },
  { does: 'transaction', on: 'orders', what: 'noteFact' },
  { does: 'transaction', on: 'payments', what: 'allowCharge' },
  { does: 'statement', on: 'payments', what: 'claimPayment' },
  { does: 'statement', on: 'payments', what: 'beginCharge' },
  { does: 'transaction', on: 'payments', what: 'the outcome of the charge' },
  { does: 'publish', to: ['order-service'], what: 'payment.captured' },
  { does: 'statement', on: 'payments', what: 'payment.captured leaves the outbox' },
  { does: 'transaction', on: 'orders', what: 'confirmOrder' },
  { does: 'publish', to: ['product-service', 'notification-service'], what: 'order.confirmed' },
  { does: 'statement', on: 'orders', what: 'order.confirmed leaves the outbox' },
  { does: 'transaction', on: 'products', what: 'sellStock' },
  { does: 'transaction', on: 'notifications', what: 'writeMail' },
  { does: 'statement', on: 'notifications', what: 'claimDueMail' },
  { does: 'statement', on: 'notifications', what: 'recordSent' },
];

export interface Counts {
  postgresCommits: number;
  mongoCommits: number;
  publications: number;
  deliveries: number;
}

const isMongo = (store: Store) => store === 'products' || store === 'notifications';

export function countsOf(steps: readonly Step[]): Counts {
  const counts: Counts = { postgresCommits: 0, mongoCommits: 0, publications: 0, deliveries: 0 };
  for (const step of steps) {
    if (step.does === 'publish') {
      counts.publications += 1;
      counts.deliveries += step.to.length;
    } else if (step.does !== 'begin') {
      counts[isMongo(step.on) ? 'mongoCommits' : 'postgresCommits'] += 1;
    }
  }
  return counts;
}

/** In words, for the tables. */
export function describeCounts({ postgresCommits, mongoCommits, publications, deliveries }: Counts): string {
  return `${postgresCommits} commits on PostgreSQL, ${mongoCommits} on MongoDB, ${publications} confirmed publications, ${deliveries} deliveries`;
}
