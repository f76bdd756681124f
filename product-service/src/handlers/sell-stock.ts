// An order was confirmed: what is held for it is sold.
import { appendToOutbox, inTransaction } from '@glasshouse/shared/mongo';
import { lockReservation, updateReservation } from '../data/reservation-repository.ts';
import { moveStock } from '../data/stock-repository.ts';
import type { Deps } from '../deps.ts';
import { sell } from '../domain/reservation.ts';

export async function sellStock({ orderId }: { orderId: string }, { db }: Pick<Deps, 'db'>): Promise<void> {
  await inTransaction(db, async (tx) => {
    const { reservation, now } = await lockReservation(tx, orderId);
    const { reservation: sold, move, events } = sell(reservation);
    if (move !== undefined) await moveStock(tx, sold.items, move);
    await updateReservation(tx, sold);
    await appendToOutbox(tx, events, now);
  });
}
