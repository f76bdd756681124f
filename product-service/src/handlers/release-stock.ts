// An order was cancelled: what was held for it or sold to it comes back.
import { appendToOutbox, inTransaction } from '@glasshouse/shared/mongo';
import { lockReservation, updateReservation } from '../data/reservation-repository.ts';
import { moveStock } from '../data/stock-repository.ts';
import type { Deps } from '../deps.ts';
import { release } from '../domain/reservation.ts';

export interface ReleaseStock {
  orderId: string;
  userId: string;
}

export async function releaseStock({ orderId, userId }: ReleaseStock, { db }: Pick<Deps, 'db'>): Promise<void> {
  await inTransaction(db, async (tx) => {
    const { reservation, now } = await lockReservation(tx, orderId);
    const { reservation: released, move, events } = release(reservation, userId);
    if (move !== undefined) await moveStock(tx, released.items, move);
    await updateReservation(tx, released);
    await appendToOutbox(tx, events, now);
  });
}
