// Where the units of products are, and the journal of every unit that ever came or went otherwise than by an order.
import { randomUUIDv7 } from 'node:crypto';
import type { ItemQuantity } from '@glasshouse/shared/contracts';
import type { Db, Transaction } from '@glasshouse/shared/mongo';
import type { StockPlace } from '../domain/reservation.ts';
import type { ProductDocument } from './product-repository.ts';

/** Append-only: per product, the sum of the deltas is what is available, held and sold together. */
interface JournalDocument {
  _id: string;
  productId: string;
  /** Units, negative where they were taken away. */
  delta: number;
  reason: string;
  /** The admin who did it; absent where nobody did. */
  userId?: string | undefined;
  at: Date;
}

export type StockReceipt = Omit<JournalDocument, '_id'>;

const products = (db: Db) => db.collection<ProductDocument>('products');

/** Adds units to what is available, or takes them away, and writes it into the journal. */
export async function receiveStock(tx: Transaction, receipt: StockReceipt): Promise<void> {
  const { productId, delta } = receipt;
  const { matchedCount } = await products(tx).updateOne(
    { _id: productId, available: { $gte: -delta } },
    { $inc: { available: delta } },
    tx.within,
  );
  if (matchedCount !== 1) throw new Error(`product ${productId} has no ${-delta} units to take away`);
  await tx.collection<JournalDocument>('stock_journal').insertOne({ _id: randomUUIDv7(), ...receipt }, tx.within);
}

/** Units available by product id; a product that we don't have is not in it. */
export async function findAvailable(db: Db, productIds: readonly string[]): Promise<Map<string, number>> {
  const documents = await products(db)
    .find({ _id: { $in: [...productIds] } }, db.within)
    .project<Pick<ProductDocument, '_id' | 'available'>>({ available: 1 })
    .toArray();
  return new Map(documents.map(({ _id, available }) => [_id, available]));
}

/**
 * Moves the units of all items from one place to another, in the order of the products' ids.
 * @throws where there is not that much in a place: whoever decided to move has read it in the same transaction
 */
export async function moveStock(
  tx: Transaction,
  items: readonly ItemQuantity[],
  { from, to }: { from: StockPlace; to: StockPlace },
): Promise<void> {
  const inOrder = items.toSorted((a, b) => (a.productId < b.productId ? -1 : 1));
  const { matchedCount } = await products(tx).bulkWrite(
    inOrder.map(({ productId, quantity }) => ({
      updateOne: {
        filter: { _id: productId, [from]: { $gte: quantity } },
        update: { $inc: { [from]: -quantity, [to]: quantity } },
      },
    })),
    { ordered: true, ...tx.within },
  );
  if (matchedCount !== items.length) throw new Error(`not all of ${items.length} products have enough ${from}`);
}
