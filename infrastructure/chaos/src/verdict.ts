// Holds the customers' own record against what the platform, the payment provider and the mailbox say: pure functions from both to what is wrong.
import type { Asked, CustomerRecord } from './record.ts';

/** An order as the platform tells its customer. */
export interface ToldOrder {
  id: string;
  status: string;
  cancelReason?: string;
  total: { amount: number };
  items: { productId: string; quantity: number }[];
  createdAt: string;
  updatedAt: string;
}

export interface Charge {
  status: string;
  amount: number;
  metadata: Record<string, string>;
  refunds: { amount: number; status: string }[];
}

/** What is there after everything has come to rest. */
export interface Books {
  /** By customer. */
  orders: ToldOrder[][];
  charges: Charge[];
  /** `Message-ID`s of all mails, as often as they came. */
  messageIds: string[];
  products: { id: string; stockAtFirst: number; stockNow: number }[];
  /** When the last fault ended, in milliseconds since 1970. */
  faultEndedAt: number;
}

/** What a scenario may cause, beyond answers that say "not now". */
export interface Allowances {
  /** Answers of 502, 503 and 504, and calls that take too long. A 500 is allowed nowhere. */
  serverErrors: boolean;
  /** Second copies of a mail, under the same `Message-ID`. */
  mailCopies: boolean;
}

export interface Verdict {
  acknowledged: number;
  confirmed: number;
  cancelled: number;
  timedOut: number;
  /** Promised with a 201, and not to be found. */
  lost: number;
  /** More orders than one for one key. */
  doubled: number;
  /** Units that were sold and not there, or are gone and not sold. */
  oversold: number;
  /** Still pending, or final too late. */
  stuck: number;
  /** Orders for which another sum was paid than is owed: all of a standing one, nothing of another. */
  mischarged: number;
  mailCopies: number;
  /** From an order's creation to its end, in seconds. */
  longestS: number;
  /** What is wrong, in words. */
  violations: string[];
}

/** Within this an order has to be final. */
const FINAL_AFTER_MS = 60_000;

const isStanding = ({ status }: ToldOrder) => ['confirmed', 'shipped', 'delivered'].includes(status);

/** The occasions of which a customer hears by mail in the end, whatever came between. */
const lastOccasion = ({ status }: ToldOrder) => `order.${status}`;

export function judge(record: CustomerRecord, books: Books, allows: Allowances): Verdict {
  const violations: string[] = [];
  const note = (what: string) => void violations.push(what);
  const told = new Map(books.orders.flat().map((order) => [order.id, order]));
  const acknowledged = record.asked.filter(({ ids }) => ids.size > 0);
  const verdict: Verdict = {
    acknowledged: acknowledged.length,
    confirmed: 0,
    cancelled: 0,
    timedOut: 0,
    lost: 0,
    doubled: 0,
    oversold: 0,
    stuck: 0,
    mischarged: 0,
    mailCopies: 0,
    longestS: 0,
    violations,
  };

  for (const what of record.unexpected) note(`a customer is answered with ${what}`);
  for (const what of record.givenUp) note(`a customer has given up on ${what}`);
  if (acknowledged.length === 0) note('no order was acknowledged');
  /** By order, the key that was answered with it. */
  const keys = new Map<string, string>();
  for (const asked of acknowledged) {
    if (asked.ids.size > 1) {
      verdict.doubled += asked.ids.size - 1;
      note(`one key was answered with several orders: ${[...asked.ids].join(', ')}`);
    }
    for (const id of asked.ids) {
      const order = books.orders[asked.customer]?.find((each) => each.id === id);
      if (keys.has(id)) note(`order ${id} was the answer to two keys`);
      keys.set(id, asked.key);
      if (order === undefined) {
        verdict.lost += 1;
        note(`order ${id} was promised and is not there`);
      } else for (const problem of problemsOf(asked, order)) note(`order ${id} ${problem}`);
    }
  }
  // Whoever got no answer may have an order all the same, but only one.
  const surplus = told.size - record.asked.length;
  if (surplus > 0) {
    verdict.doubled += surplus;
    note(`there are ${surplus} orders more than were asked for`);
  }

  const changedTheirMind = new Set(acknowledged.filter(({ cancels }) => cancels).flatMap(({ ids }) => [...ids]));
  for (const order of told.values()) {
    if (isStanding(order)) verdict.confirmed += 1;
    else if (order.status === 'cancelled') verdict.cancelled += 1;
    if (order.cancelReason === 'timeout') verdict.timedOut += 1;
    if (order.status === 'pending') {
      verdict.stuck += 1;
      note(`order ${order.id} is pending`);
    } else if (!changedTheirMind.has(order.id)) {
      const [createdAt, finalAt] = [Date.parse(order.createdAt), Date.parse(order.updatedAt)];
      verdict.longestS = Math.max(verdict.longestS, (finalAt - createdAt) / 1000);
      const lateMs = finalAt - Math.max(createdAt, books.faultEndedAt);
      if (lateMs > FINAL_AFTER_MS && order.cancelReason !== 'timeout') {
        verdict.stuck += 1;
        note(`order ${order.id} was final only ${Math.round(lateMs / 1000)} s after all was mended`);
      }
    }
  }
  if (verdict.timedOut > 0) note(`${verdict.timedOut} orders reached their deadline`);

  const chargesOf = Map.groupBy(books.charges, ({ metadata }) => metadata.orderId ?? '');
  for (const order of told.values()) {
    const owed = isStanding(order) ? order.total.amount : 0;
    const paid = (chargesOf.get(order.id) ?? []).reduce((sum, charge) => sum + netOf(charge), 0);
    if (owed === paid) continue;
    verdict.mischarged += 1;
    note(`for order ${order.id} ${owed} is owed, and ${paid} was paid by the provider's ledger`);
  }

  for (const { id, stockAtFirst, stockNow } of books.products) {
    const sold = [...told.values()]
      .filter(isStanding)
      .flatMap(({ items }) => items)
      .reduce((sum, item) => sum + (item.productId === id ? item.quantity : 0), 0);
    if (stockNow === stockAtFirst - sold && stockNow >= 0) continue;
    verdict.oversold += Math.abs(stockAtFirst - sold - stockNow);
    note(`of product ${id} there were ${stockAtFirst}, ${sold} are sold, and ${stockNow} are left`);
  }

  judgeMails(books, told, allows, verdict, note);

  for (const [what, count] of record.answers)
    if (what === 500 || (!allows.serverErrors && (what === 'timed out' || (typeof what === 'number' && what > 500))))
      note(`customers saw ${count} × ${what}`);
  return verdict;
}

function judgeMails(
  { messageIds }: Books,
  told: ReadonlyMap<string, ToldOrder>,
  allows: Allowances,
  verdict: Verdict,
  note: (what: string) => void,
): void {
  // <order.occasion@domain>, with the refund's id behind the occasion where there can be several.
  const ofThese = messageIds.filter((id) => told.has(id.slice(1, id.indexOf('.'))));
  const copies = Map.groupBy(ofThese, (id) => id);
  for (const [id, { length }] of copies) {
    if (length === 1) continue;
    verdict.mailCopies += length - 1;
    if (!allows.mailCopies) note(`the mail ${id} came ${length} times`);
  }
  for (const order of told.values()) {
    if (order.status === 'pending') continue;
    const expected = `<${order.id}.${lastOccasion(order)}@`;
    if (![...copies.keys()].some((id) => id.startsWith(expected)))
      note(`nobody was told of ${lastOccasion(order)} ${order.id}`);
  }
}

const netOf = ({ status, amount, refunds }: Charge) =>
  status === 'succeeded'
    ? refunds.reduce((rest, refund) => (refund.status === 'succeeded' ? rest - refund.amount : rest), amount)
    : 0;

function problemsOf(asked: Asked, order: ToldOrder): string[] {
  const problems: string[] = [];
  const total = asked.items.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);
  if (order.total.amount !== total || asked.total !== total)
    problems.push(`should cost ${total}, was promised for ${asked.total} and costs ${order.total.amount}`);
  if (asked.card === 'pm_card_chargeDeclined' && isStanding(order))
    problems.push('stands although its card was declined');
  if (asked.card === 'pm_card_visa' && order.cancelReason === 'payment_declined')
    problems.push('was declined although its card is good');
  if (asked.cancelled && order.status !== 'cancelled') problems.push('stands although its customer has cancelled it');
  if (!asked.cancels && order.cancelReason === 'customer') problems.push('was cancelled by nobody');
  if (order.cancelReason === 'out_of_stock' && !asked.items.some(({ isScarce }) => isScarce))
    problems.push('was refused although there is plenty');
  return problems;
}
