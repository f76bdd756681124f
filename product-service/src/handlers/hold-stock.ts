// An order was placed: all of its items are held for it, or none.
import type { ItemQuantity } from '@glasshouse/shared/contracts';
import { appendToOutbox, inTransaction } from '@glasshouse/shared/mongo';
import { lockReservation, updateReservation } from '../data/reservation-repository.ts';
import { findAvailable, moveStock } from '../data/stock-repository.ts';
import type { Deps } from '../deps.ts';
import { hold } from '../domain/reservation.ts';

export interface HoldStock {
  orderId: string;
  userId: string;
  items: ItemQuantity[];
  /** After this moment nothing is held. */
  payBy: Date;
}

export async function holdStock(command: HoldStock, { db }: Pick<Deps, 'db'>): Promise<void> {
  await inTransaction(db, async (tx) => {
    const { reservation, now } = await lockReservation(tx, command.orderId);
    const available = await findAvailable(
      tx,
      command.items.map((item) => item.productId),
    );
    const { reservation: held, move, events } = hold(reservation, command, available, now);
    if (move !== undefined) await moveStock(tx, held.items, move);
    await updateReservation(tx, held);
    await appendToOutbox(tx, events, now);
  });
}
