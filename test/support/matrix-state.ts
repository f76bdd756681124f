// What can be seen of an order that has come to its end, and what has to be seen.
import { isDeepStrictEqual } from 'node:util';
import type { LedgerCharge } from '@glasshouse/payment-simulator/client';
import { waitFor } from '@glasshouse/shared/testing';
import { type Ending, type Outcome, PRICE, QUANTITY } from './matrix-endings.ts';
import type { OrderInHand, World } from './matrix-world.ts';

/** In the words of an outcome. Amounts in minor units. */
interface State {
  order: string;
  payment: string | undefined;
  refunded: number;
  /** What the provider says it has taken and given back. */
  provider: { captured: number; refunded: number };
  reservation: string | undefined;
  stock: { available: number; held: number; sold: number }[];
  /** What went over the network. */
  told: string[];
  timeline: string[];
  /** What stands in the timeline before its cause. */
  tooEarly: string[];
  mails: string[];
}

const mailed: readonly string[] = [
  'order.confirmed',
  'order.cancelled',
  'order.shipped',
  'order.delivered',
  'payment.refunded',
];

function expectedState({ stock = [5] }: Ending, outcome: Outcome): State {
  const { order, cancelReason, payment, refunded = 0, reservation } = outcome;
  const told = outcome.told.toSorted();
  const sold = reservation === 'sold' ? QUANTITY : 0;
  return {
    order: cancelReason === undefined ? order : `${order}: ${cancelReason}`,
    payment,
    refunded,
    provider: { captured: payment === 'captured' ? QUANTITY * PRICE * stock.length : 0, refunded },
    reservation,
    stock: stock.map((units) => ({ available: units - sold, held: 0, sold })),
    told,
    timeline: told,
    tooEarly: [],
    mails: told.filter((type) => mailed.includes(type)).map((occasion) => `${occasion} sent`),
  };
}

/** What has succeeded, summed up. */
const sumOf = (moved: readonly { status: string; amount: number }[]) =>
  moved.reduce((sum, { status, amount }) => (status === 'succeeded' ? sum + amount : sum), 0);

async function readState(
  world: World,
  { id, productIds }: OrderInHand,
  ledger: readonly LedgerCharge[],
): Promise<State> {
  const { books, network, shop, admin } = world;
  const [found, timeline] = await Promise.all([
    books.read(id, productIds),
    waitFor('the timeline', () => shop.timelineOf(admin, id)),
  ]);
  const { status, cancel_reason: reason } = found.order;
  const charges = ledger.filter(({ metadata }) => metadata.orderId === id);
  const told = network.toldOf(id).map(({ event }) => event);
  const causeOf = new Map(told.map((event) => [event.id, event.causationid]));
  const isTooEarly = (entry: { id: string }, place: number) =>
    timeline.slice(place).some((later) => later.id === causeOf.get(entry.id));
  return {
    order: reason === null ? status : `${status}: ${reason}`,
    payment: found.payment?.status,
    refunded: sumOf(found.refunds),
    provider: { captured: sumOf(charges), refunded: sumOf(charges.flatMap(({ refunds }) => refunds)) },
    reservation: found.reservation,
    stock: found.products,
    told: told.map(({ type }) => type).sort(),
    timeline: timeline.map(({ type }) => type).sort(),
    tooEarly: timeline.filter(isTooEarly).map(({ type }) => type),
    mails: found.mails.map((mail) => `${mail.occasion} ${mail.status}`).sort(),
  };
}

/**
 * What is otherwise than the outcome wants it, in words; undefined where nothing is.
 * @param ledger all charges that the provider knows of
 */
export async function differenceFrom(
  outcome: Outcome,
  world: World,
  { ending, order }: { ending: Ending; order: OrderInHand },
  ledger: readonly LedgerCharge[],
): Promise<string | undefined> {
  const expected = expectedState(ending, outcome);
  const seen = await readState(world, order, ledger);
  const differences = Object.entries(seen)
    .map(([field, value]) => ({ field, value, wanted: expected[field as keyof State] }))
    .filter(({ value, wanted }) => !isDeepStrictEqual(value, wanted))
    .map(({ field, value, wanted }) => `${field} is ${JSON.stringify(value)}, not ${JSON.stringify(wanted)}`);
  return differences.length === 0 ? undefined : differences.join('; ');
}
