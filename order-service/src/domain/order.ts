// An order and its state machine: pure functions from an order and a command to the order that follows and the facts to tell.
import {
  type Address,
  type CancelReason,
  type DomainEvent,
  type Money,
  orderCancelled,
  orderConfirmed,
  orderCreated,
  orderDelivered,
  orderShipped,
} from '@glasshouse/shared/contracts';
import { mixedCurrencies, orderNotDeliverable, orderNotShippable } from './errors.ts';

export const orderStatuses = ['pending', 'confirmed', 'cancelled', 'shipped', 'delivered'] as const;
export type OrderStatus = (typeof orderStatuses)[number];

export interface OrderItem {
  productId: string;
  name: string;
  quantity: number;
  unitPrice: Money;
}

export interface Order {
  id: string;
  userId: string;
  status: OrderStatus;
  cancelReason?: CancelReason | undefined;
  items: OrderItem[];
  total: Money;
  shippingAddress: Address;
  paymentMethod: string;
  /** After this moment nothing is held and no charge is begun. */
  payBy: Date;
  createdAt: Date;
  updatedAt: Date;
}

export interface Decision {
  order: Order;
  /** Empty where the order stays as it is. */
  events: DomainEvent[];
}

/** The sum of price times quantity. Throws where the items have more than one currency. */
export function totalOf(items: readonly OrderItem[]): Money {
  const currency = items[0]?.unitPrice.currency ?? '';
  if (items.some((item) => item.unitPrice.currency !== currency)) throw mixedCurrencies();
  const amount = items.reduce((sum, item) => sum + item.unitPrice.amount * item.quantity, 0);
  return { amount, currency };
}

const pricedItems = (order: Order) =>
  order.items.map(({ productId, quantity, unitPrice }) => ({ productId, quantity, unitPrice }));

/** @param sagaTimeoutS how long it may stay pending, in seconds */
export function place(
  input: Pick<Order, 'id' | 'userId' | 'items' | 'shippingAddress' | 'paymentMethod'>,
  now: Date,
  sagaTimeoutS: number,
): Decision {
  const payBy = new Date(now.getTime() + sagaTimeoutS * 1000);
  const order: Order = {
    ...input,
    status: 'pending',
    total: totalOf(input.items),
    payBy,
    createdAt: now,
    updatedAt: now,
  };
  const { id: orderId, userId, total, paymentMethod, shippingAddress } = order;
  const event = orderCreated.of({
    orderId,
    userId,
    items: order.items,
    total,
    paymentMethod,
    shippingAddress,
    payBy: payBy.toISOString(),
  });
  return { order, events: [event] };
}

/** The money is there: a pending order is confirmed; any other stays as it is. */
export function confirm(order: Order, now: Date): Decision {
  if (order.status !== 'pending') return { order, events: [] };
  const event = orderConfirmed.of({
    orderId: order.id,
    userId: order.userId,
    items: pricedItems(order),
    total: order.total,
  });
  return { order: { ...order, status: 'confirmed', updatedAt: now }, events: [event] };
}

/** A customer may cancel what is pending or confirmed; stock, money and time cancel only what is pending. Otherwise it stays as it is. */
export function cancel(order: Order, cancelReason: CancelReason, now: Date): Decision {
  const possible = order.status === 'pending' || (order.status === 'confirmed' && cancelReason === 'customer');
  if (!possible) return { order, events: [] };
  const event = orderCancelled.of({ orderId: order.id, userId: order.userId, cancelReason });
  return { order: { ...order, status: 'cancelled', cancelReason, updatedAt: now }, events: [event] };
}

/** It leaves the house: from now on it can't be cancelled. Throws where it is not confirmed. */
export function ship(order: Order, now: Date): Decision {
  if (order.status !== 'confirmed') throw orderNotShippable(order.status);
  const event = orderShipped.of({ orderId: order.id, userId: order.userId });
  return { order: { ...order, status: 'shipped', updatedAt: now }, events: [event] };
}

/** The customer has it. Throws where it was not shipped. */
export function deliver(order: Order, now: Date): Decision {
  if (order.status !== 'shipped') throw orderNotDeliverable(order.status);
  const event = orderDelivered.of({ orderId: order.id, userId: order.userId });
  return { order: { ...order, status: 'delivered', updatedAt: now }, events: [event] };
}
