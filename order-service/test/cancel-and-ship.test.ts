// What people decide of an order: its customer cancels, an admin ships and delivers. Of two who decide at the same moment, one wins.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  orderCancelled,
  orderConfirmed,
  orderCreated,
  orderDelivered,
  orderShipped,
  paymentCaptured,
} from '@glasshouse/shared/contracts';
import { waitFor } from '@glasshouse/shared/testing';
import { aProduct, createWorld, orderOf, post, type Running, type World } from './support.ts';

let world: World;
let service: Running;
let admin: string;
const kettle = aProduct(1999);

before(async () => {
  world = await createWorld();
  service = await world.start();
  admin = world.keys.token(randomUUIDv7(), ['admin']);
  await world.list(kettle);
});
after(() => world.stop());

interface Placed {
  id: string;
  userId: string;
  token: string;
}

async function place(): Promise<Placed> {
  const customer = world.customer();
  const { body } = await post(service, customer.token, orderOf(kettle));
  return { ...customer, id: body.id };
}
async function placeAndConfirm(): Promise<Placed> {
  const placed = await place();
  const { id: orderId, userId } = placed;
  const amount = { amount: 3998, currency: 'USD' };
  await world.tell(paymentCaptured, { orderId, userId, paymentId: randomUUIDv7(), amount });
  await waitFor('it is confirmed', async () => (await statusOf(placed)) === 'confirmed');
  return placed;
}
type Action = 'cancel' | 'ship' | 'deliver';
const act = ({ id }: Placed, action: Action, token = admin) =>
  service.call('POST', `/v1/orders/${id}/${action}`, { token });
const statusOf = async ({ id, token }: Placed) =>
  (await service.call('GET', `/v1/orders/${id}`, { token })).body.status;
const timelineOf = async ({ id, token }: Placed): Promise<string[]> =>
  (await service.call('GET', `/v1/orders/${id}/timeline`, { token })).body.items.map(
    (entry: { type: string }) => entry.type,
  );
/** The events of an order that are out, once the outbox is empty. */
async function toldOf({ id }: Placed): Promise<string[]> {
  await waitFor('the outbox is empty', async () => {
    const { rows } = await world.postgres.pool.query('select 1 from outbox');
    return rows.length === 0;
  });
  const told = [orderCreated, orderConfirmed, orderCancelled, orderShipped, orderDelivered];
  return waitFor('what is in the timeline is told', async () => {
    const types = told.flatMap((definition) => world.broker.eventsOf(definition, id)).map((event) => event.type);
    const own = (await timelineOf({ id, userId: '', token: admin })).filter((type) => type.startsWith('order.'));
    return types.length === own.length && types;
  });
}

test('cancel: pending, by its customer: 202, told once, and again it is the same', async () => {
  const placed = await place();
  const first = await act(placed, 'cancel', placed.token);
  assert.equal(first.status, 202);
  assert.deepEqual([first.body.status, first.body.cancelReason], ['cancelled', 'customer']);
  const second = await act(placed, 'cancel', placed.token);
  assert.equal(second.status, 202);
  assert.deepEqual(second.body, first.body);
  assert.deepEqual(await toldOf(placed), ['order.created', 'order.cancelled']);
  const [event] = world.broker.eventsOf(orderCancelled, placed.id);
  assert.deepEqual(event?.data, { orderId: placed.id, userId: placed.userId, cancelReason: 'customer' });
});

test('cancel: confirmed, by an admin: cancelled', async () => {
  const placed = await placeAndConfirm();
  const { status, body } = await act(placed, 'cancel');
  assert.deepEqual([status, body.status, body.cancelReason], [202, 'cancelled', 'customer']);
});

test('cancel: already cancelled for another reason: 202, and the reason stays', async () => {
  const overdue = await world.start({ SAGA_TIMEOUT_S: '1' });
  const customer = world.customer();
  const { body: order } = await post(overdue, customer.token, orderOf(kettle));
  const placed = { ...customer, id: order.id };
  await waitFor('it has timed out', async () => (await statusOf(placed)) === 'cancelled');
  const { status, body } = await act(placed, 'cancel', placed.token);
  assert.deepEqual([status, body.cancelReason], [202, 'timeout']);
  await overdue.stop();
});

test('cancel: what comes in for a cancelled order later is noted and changes nothing', async () => {
  const placed = await place();
  await act(placed, 'cancel', placed.token);
  const { id: orderId, userId } = placed;
  const amount = { amount: 3998, currency: 'USD' };
  await world.tell(paymentCaptured, { orderId, userId, paymentId: randomUUIDv7(), amount });
  await waitFor('it is noted', async () => (await timelineOf(placed)).includes('payment.captured'));
  assert.equal(await statusOf(placed), 'cancelled');
  assert.deepEqual(await toldOf(placed), ['order.created', 'order.cancelled']);
});

test('ship, deliver: one after the other, each told; again, or in another state: 409', async () => {
  const placed = await placeAndConfirm();
  assert.deepEqual((await act(placed, 'deliver')).body.code, 'order.not-deliverable');
  const shipped = await act(placed, 'ship');
  assert.deepEqual([shipped.status, shipped.body.status], [200, 'shipped']);
  const again = await act(placed, 'ship');
  assert.deepEqual([again.status, again.body.code], [409, 'order.not-shippable']);
  const late = await act(placed, 'cancel', placed.token);
  assert.deepEqual([late.status, late.body.code], [409, 'order.not-cancellable']);
  const delivered = await act(placed, 'deliver');
  assert.deepEqual([delivered.status, delivered.body.status], [200, 'delivered']);
  for (const action of ['ship', 'deliver', 'cancel'] as const)
    assert.equal((await act(placed, action)).status, 409, action);
  assert.deepEqual(await toldOf(placed), ['order.created', 'order.confirmed', 'order.shipped', 'order.delivered']);

  const pending = await place();
  assert.equal((await act(pending, 'ship')).status, 409);
  await act(pending, 'cancel', pending.token);
  assert.equal((await act(pending, 'ship')).status, 409);
});

test("cancel, ship, deliver: somebody else's order or none is a 404, a customer may neither ship nor deliver", async () => {
  const placed = await placeAndConfirm();
  const stranger = world.customer();
  assert.equal((await act(placed, 'cancel', stranger.token)).status, 404);
  for (const action of ['ship', 'deliver'] as const)
    assert.equal((await act(placed, action, placed.token)).status, 403, action);
  for (const action of ['cancel', 'ship', 'deliver'] as const) {
    assert.equal((await act({ ...placed, id: randomUUIDv7() }, action)).status, 404);
    assert.equal((await act({ ...placed, id: 'seven' }, action)).status, 404);
    const unsigned = await service.call('POST', `/v1/orders/${placed.id}/${action}`);
    assert.equal(unsigned.status, 401);
    const wrong = await service.call('GET', `/v1/orders/${placed.id}/${action}`, { token: admin });
    assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'POST']);
  }
  assert.equal(await statusOf(placed), 'confirmed');
});

test('ship against cancel, on two copies at the same moment, twenty times: one wins, the other gets 409', async () => {
  const second = await world.start();
  const winners = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const placed = await placeAndConfirm();
      const cancelled = () => second.call('POST', `/v1/orders/${placed.id}/cancel`, { token: placed.token });
      const shipped = () => act(placed, 'ship');
      const [first, other] = await Promise.all(index % 2 ? [cancelled(), shipped()] : [shipped(), cancelled()]);
      const statuses = index % 2 ? [other.status, first.status] : [first.status, other.status];
      const order = await statusOf(placed);
      assert.deepEqual(statuses, order === 'shipped' ? [200, 409] : [409, 202]);
      const [, , decision, ...rest] = await toldOf(placed);
      assert.deepEqual([decision, rest], [`order.${order}`, []]);
      return order;
    }),
  );
  assert.equal(winners.length, 20);
  await second.stop();
});

test('many cancel the same order at once: all get 202, and it is told once', async () => {
  const placed = await placeAndConfirm();
  const replies = await Promise.all(Array.from({ length: 10 }, () => act(placed, 'cancel', placed.token)));
  assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([202]));
  assert.deepEqual(await toldOf(placed), ['order.created', 'order.confirmed', 'order.cancelled']);
});
