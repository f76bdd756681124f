// A customer places an order: priced by our price list, committed as pending, told to the others.
import { randomUUIDv7 } from 'node:crypto';
import type { Address, ItemQuantity, Money } from '@glasshouse/shared/contracts';
import { findIdempotent, inTransaction, takeIdempotencyKey } from '@glasshouse/shared/postgres';
import type { IdempotentRequest } from '@glasshouse/shared/resilience';
import { findOrder, insertOrder } from '../data/order-repository.ts';
import { findPrices, upsertPrice } from '../data/price-list-repository.ts';
import { tell } from '../data/timeline-repository.ts';
import type { Deps } from '../deps.ts';
import { orderNotFound, priceChanged, tooManyPending, unknownProduct } from '../domain/errors.ts';
import { type Order, type OrderItem, place, totalOf } from '../domain/order.ts';
import { countChange } from '../metrics.ts';

export interface PlaceOrder {
  request: IdempotentRequest;
  userId: string;
  items: ItemQuantity[];
  shippingAddress: Address;
  paymentMethod: string;
  expectedTotal?: Money | undefined;
}

/**
 * @returns the order; where the request was made before, that one as it is now
 * @throws AppError where too many orders are pending, for an unknown product, mixed currencies, a changed price, or a key used with another body
 */
export async function placeOrder(command: PlaceOrder, deps: Deps): Promise<Order> {
  const { request, userId, shippingAddress, paymentMethod } = command;
  const earlier = await findIdempotent(deps.db, request);
  if (earlier !== undefined) return getPlaced(earlier, deps);

  let items: OrderItem[];
  try {
    if (!(await deps.admission.admit())) throw tooManyPending();
    items = await priceItems(command, deps);
  } catch (refusal) {
    // The same request may have been accepted meanwhile, in the last place or at the price of that moment.
    const meanwhile = await findIdempotent(deps.db, request);
    if (meanwhile !== undefined) return getPlaced(meanwhile, deps);
    throw refusal;
  }

  return inTransaction(deps.db, async (tx) => {
    const { order, events } = place(
      { id: randomUUIDv7(), userId, items, shippingAddress, paymentMethod },
      tx.now,
      deps.sagaTimeoutS,
    );
    const winner = await takeIdempotencyKey(tx, request, order.id);
    if (winner !== undefined) return getPlaced(winner, { ...deps, db: tx });
    await Promise.all([insertOrder(tx, order), tell(tx, order.id, events)]);
    countChange(tx, undefined, order);
    return order;
  });
}

async function getPlaced(id: string, { db }: Deps): Promise<Order> {
  const order = await findOrder(db, id);
  if (order === undefined) throw orderNotFound();
  return order;
}

async function priceItems(command: PlaceOrder, { db, products }: Deps): Promise<OrderItem[]> {
  const { items: wanted, expectedTotal } = command;
  const known = await findPrices(
    db,
    wanted.map((item) => item.productId),
  );
  const items: OrderItem[] = [];
  // One after the other: an order with a hundred products that we have not heard of must not take product-service's whole bulkhead.
  for (const { productId, quantity } of wanted) {
    let product = known.get(productId);
    if (product === undefined) {
      product = await products.getProduct(productId);
      if (product !== undefined) await upsertPrice(db, product);
    }
    if (product === undefined || product.deleted || product.name === undefined || product.price === undefined)
      throw unknownProduct(productId);
    items.push({ productId, name: product.name, quantity, unitPrice: product.price });
  }
  const total = totalOf(items);
  if (
    expectedTotal !== undefined &&
    (expectedTotal.amount !== total.amount || expectedTotal.currency !== total.currency)
  )
    throw priceChanged();
  return items;
}
