// The stock of one order and its state machine: pure functions from a reservation and a command to the one that follows, the stock to move and the facts to tell.
import {
  type DomainEvent,
  type ItemQuantity,
  inventoryRejected,
  inventoryReleased,
  inventoryReserved,
} from '@glasshouse/shared/contracts';

/**
 * - `noted`: nothing is decided yet
 * - `held`, `sold`: the order's units are set aside, or gone
 * - `rejected`: there was not enough of something, so nothing was held
 * - `expired`: it was too late to hold anything
 * - `released`: what was held or sold has been given back
 * - `cancelled`: the order ended before anything was held
 */
export type ReservationState = 'noted' | 'held' | 'sold' | 'rejected' | 'expired' | 'released' | 'cancelled';

export interface Reservation {
  orderId: string;
  state: ReservationState;
  /** Unknown until we hear of the order itself or of its end. */
  userId?: string | undefined;
  /** Empty until we hear of the order itself. */
  items: ItemQuantity[];
}

/** Where the units of a product are. */
export type StockPlace = 'available' | 'held' | 'sold';

export interface Decision {
  reservation: Reservation;
  /** Moves the units of all items, where the decision moves any. */
  move?: { from: StockPlace; to: StockPlace };
  events: DomainEvent[];
}

/**
 * All items are held, or none. What is decided already stays so, and only learns what was ordered by whom.
 * @param order `payBy`: after it nothing is held and nothing is told
 * @param available units by product id; a product that is not there has none
 */
export function hold(
  reservation: Reservation,
  order: { userId: string; items: ItemQuantity[]; payBy: Date },
  available: ReadonlyMap<string, number>,
  now: Date,
): Decision {
  const { userId, items } = order;
  const { orderId } = reservation;
  const known: Reservation = { ...reservation, userId, items };
  if (known.state !== 'noted') return { reservation: known, events: [] };
  if (now > order.payBy) return { reservation: { ...known, state: 'expired' }, events: [] };
  const shortages = items
    .map(({ productId, quantity }) => ({ productId, requested: quantity, available: available.get(productId) ?? 0 }))
    .filter((item) => item.available < item.requested);
  if (shortages.length > 0)
    return {
      reservation: { ...known, state: 'rejected' },
      events: [inventoryRejected.of({ orderId, shortages })],
    };
  return {
    reservation: { ...known, state: 'held' },
    move: { from: 'available', to: 'held' },
    events: [inventoryReserved.of({ orderId, items })],
  };
}

/**
 * The hold becomes a sale. One that was given back stays so.
 * @throws where nothing was ever held: an order is confirmed only after its money, and charged only after its hold
 */
export function sell(reservation: Reservation): Decision {
  switch (reservation.state) {
    case 'held':
      return { reservation: { ...reservation, state: 'sold' }, move: { from: 'held', to: 'sold' }, events: [] };
    case 'sold':
    case 'released':
    case 'cancelled':
      return { reservation, events: [] };
    case 'noted':
    case 'rejected':
    case 'expired':
      throw new Error(`order ${reservation.orderId} is confirmed, and its reservation is ${reservation.state}`);
  }
}

/** What was held or sold is given back. Where nothing was, the reservation is closed, so that nothing ever will be. */
export function release(reservation: Reservation, userId: string): Decision {
  const { state, orderId, items } = reservation;
  switch (state) {
    case 'held':
    case 'sold':
      return {
        reservation: { ...reservation, state: 'released' },
        move: { from: state, to: 'available' },
        events: [inventoryReleased.of({ orderId, items })],
      };
    case 'noted':
    case 'rejected':
    case 'expired':
      return { reservation: { ...reservation, userId, state: 'cancelled' }, events: [] };
    case 'released':
    case 'cancelled':
      return { reservation, events: [] };
  }
}
