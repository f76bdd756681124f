// What product-service knows: the catalogue, where the units of each product are, and what was set aside for each order.
import type { ItemQuantity, Money } from '@glasshouse/shared/contracts';
import type { MongoSource } from './mongo.ts';

export interface Product {
  id: string;
  name: string;
  price: Money;
  version: number;
  deleted: boolean;
  available: number;
  held: number;
  sold: number;
}

export interface Reservation {
  orderId: string;
  state: 'noted' | 'held' | 'sold' | 'rejected' | 'expired' | 'released' | 'cancelled';
  items: ItemQuantity[];
}

export interface ProductData {
  products: Map<string, Product>;
  reservations: Map<string, Reservation>;
  /** Units by product id: the sum of the append-only stock journal. */
  received: Map<string, number>;
  outbox: number;
}

const productFields = ['name', 'price', 'version', 'deleted', 'available', 'held', 'sold'] as const;

export function readProducts(source: MongoSource): Promise<ProductData> {
  return source.inSnapshot(async ({ stream, count }) => {
    const products = new Map<string, Product>();
    for await (const { _id: id, ...product } of stream<Omit<Product, 'id'> & { _id: string }>(
      'products',
      productFields,
    ))
      products.set(id, { id, ...product });
    const reservations = new Map<string, Reservation>();
    for await (const { _id: orderId, state, items } of stream<Omit<Reservation, 'orderId'> & { _id: string }>(
      'reservations',
      ['state', 'items'],
    ))
      reservations.set(orderId, { orderId, state, items });
    const received = new Map<string, number>();
    for await (const { productId, delta } of stream<{ productId: string; delta: number }>('stock_journal', [
      'productId',
      'delta',
    ]))
      received.set(productId, (received.get(productId) ?? 0) + delta);
    return { products, reservations, received, outbox: await count('outbox', {}) };
  });
}
