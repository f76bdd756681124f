// Reservations, one document for each order, never purged: the truth about what was done for it.
import type { ItemQuantity } from '@glasshouse/shared/contracts';
import type { Db, Transaction } from '@glasshouse/shared/mongo';
import type { Reservation, ReservationState } from '../domain/reservation.ts';

interface ReservationDocument {
  _id: string;
  state: ReservationState;
  userId?: string | undefined;
  items: ItemQuantity[];
  /** Changes with every lock, so that two transactions that want the same order meet. */
  counter: number;
  touchedAt: Date;
}

/**
 * Locks the order's reservation until the transaction ends, and makes it where this is the first that we hear of the order.
 * @returns the reservation, and the database's clock
 */
export async function lockReservation(
  tx: Transaction,
  orderId: string,
): Promise<{ reservation: Reservation; now: Date }> {
  const document = await tx.collection<ReservationDocument>('reservations').findOneAndUpdate(
    { _id: orderId },
    [
      {
        $set: {
          state: { $ifNull: ['$state', 'noted'] },
          items: { $ifNull: ['$items', []] },
          counter: { $add: [{ $ifNull: ['$counter', 0] }, 1] },
          touchedAt: '$$NOW',
        },
      },
    ],
    { upsert: true, returnDocument: 'after', ...tx.within },
  );
  if (document === null) throw new Error(`reservation ${orderId} was neither found nor made`);
  const { state, userId, items, touchedAt } = document;
  return { reservation: { orderId, state, userId, items }, now: touchedAt };
}

export async function updateReservation(tx: Transaction, reservation: Reservation): Promise<void> {
  const { orderId, state, userId, items } = reservation;
  await tx
    .collection<ReservationDocument>('reservations')
    .updateOne({ _id: orderId }, { $set: { state, userId, items } }, tx.within);
}

/** Whether the user has paid for the product and not returned it. */
export async function hasBought(db: Db, userId: string, productId: string): Promise<boolean> {
  const sold = await db
    .collection<ReservationDocument>('reservations')
    .findOne({ state: 'sold', userId, 'items.productId': productId }, { projection: { _id: 1 }, ...db.within });
  return sold !== null;
}
