// A fact that decides nothing: it goes into the order's timeline.
import type { CloudEvent } from '@glasshouse/shared/contracts';
import { inTransaction } from '@glasshouse/shared/postgres';
import { lockOrder } from '../data/order-repository.ts';
import { recordInTimeline } from '../data/timeline-repository.ts';
import type { Deps } from '../deps.ts';
import { orderNotFound } from '../domain/errors.ts';

export interface NoteFact {
  orderId: string;
  fact: CloudEvent;
}

export async function noteFact({ orderId, fact }: NoteFact, { db }: Pick<Deps, 'db'>): Promise<void> {
  await inTransaction(db, async (tx) => {
    if ((await lockOrder(tx, orderId)) === undefined) throw orderNotFound();
    await recordInTimeline(tx, orderId, fact);
  });
}
