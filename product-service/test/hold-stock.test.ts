// The saga's part here: order.created, order.confirmed and order.cancelled, once and twice, in every order in which they can arrive.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type CloudEvent, inventoryRejected, inventoryReleased, inventoryReserved } from '@glasshouse/shared/contracts';
import { queueOf } from '@glasshouse/shared/event-bus';
import { waitFor } from '@glasshouse/shared/testing';
import { addProduct, anOrder, createWorld, permutations, type Running, type World } from './support.ts';

let world: World;
let service: Running;

before(async () => {
  world = await createWorld();
  service = await world.start();
});
after(() => world.assertBooksBalance().finally(() => world.stop()));

const stocked = async (stock: number): Promise<string> => (await addProduct(world, service, { stock })).id;

/** Tells events and waits until all of them are handled. */
const happen = async (...events: CloudEvent[]) => {
  await world.tell(...events);
  await world.handled(...events);
};

const answersTo = (orderId: string) =>
  world.broker.events
    .filter((event) => event.source === 'product-service' && event.subject === orderId)
    .map((event) => event.type);
const answered = (orderId: string, ...types: string[]) =>
  waitFor(`${types} is out`, () => {
    assert.deepEqual(answersTo(orderId), types);
    return true;
  });

test('holdStock: holds all items and says so, within the trace and as an answer to the order', async () => {
  const [kettle, mug] = [await stocked(10), await stocked(5)];
  const order = anOrder([
    { productId: mug, quantity: 5 },
    { productId: kettle, quantity: 3 },
  ]);
  const created = order.created();
  await happen(created);
  assert.deepEqual(await world.booksOf(kettle), { available: 7, held: 3, sold: 0 });
  assert.deepEqual(await world.booksOf(mug), { available: 0, held: 5, sold: 0 });
  const { body } = await service.call('GET', `/v1/products/${kettle}`);
  assert.deepEqual([body.stock, body.version], [7, 1]);

  const reserved = await waitFor('reserved', () => world.broker.eventsOf(inventoryReserved, order.orderId)[0]);
  assert.deepEqual(reserved.data, { orderId: order.orderId, items: order.items });
  assert.equal(reserved.causationid, created.id);
  assert.equal(reserved.correlationid, created.correlationid);
  const { state, userId, items } = (await world.reservationOf(order.orderId)) ?? {};
  assert.deepEqual({ state, userId, items }, { state: 'held', userId: order.userId, items: order.items });
});

test('sellStock: what is held is sold, and nothing is told', async () => {
  const productId = await stocked(4);
  const order = anOrder([{ productId, quantity: 3 }]);
  await happen(order.created(), order.confirmed());
  assert.deepEqual(await world.booksOf(productId), { available: 1, held: 0, sold: 3 });
  await answered(order.orderId, 'inventory.reserved');
});

test('releaseStock: what is held comes back, and what is sold comes back', async () => {
  const productId = await stocked(4);
  const held = anOrder([{ productId, quantity: 3 }]);
  await happen(held.created(), held.cancelled());
  assert.deepEqual(await world.booksOf(productId), { available: 4, held: 0, sold: 0 });

  const sold = anOrder([{ productId, quantity: 4 }]);
  await happen(sold.created(), sold.confirmed(), sold.cancelled());
  assert.deepEqual(await world.booksOf(productId), { available: 4, held: 0, sold: 0 });
  for (const { orderId, items } of [held, sold]) {
    await answered(orderId, 'inventory.reserved', 'inventory.released');
    const [released] = world.broker.eventsOf(inventoryReleased, orderId);
    assert.deepEqual(released?.data, { orderId, items });
  }
});

test('holdStock: when one of several items is short, holds nothing and names every shortage', async () => {
  const [plenty, few, none] = [await stocked(50), await stocked(2), await stocked(0)];
  const unknown = randomUUIDv7();
  const order = anOrder([
    { productId: plenty, quantity: 5 },
    { productId: unknown, quantity: 1 },
    { productId: few, quantity: 3 },
    { productId: none, quantity: 7 },
  ]);
  await happen(order.created());
  await answered(order.orderId, 'inventory.rejected');
  const [rejected] = world.broker.eventsOf(inventoryRejected, order.orderId);
  assert.deepEqual(rejected?.data.shortages, [
    { productId: unknown, requested: 1, available: 0 },
    { productId: few, requested: 3, available: 2 },
    { productId: none, requested: 7, available: 0 },
  ]);
  for (const [productId, available] of [
    [plenty, 50],
    [few, 2],
    [none, 0],
  ] as const)
    assert.deepEqual(await world.booksOf(productId), { available, held: 0, sold: 0 });
  assert.equal((await world.reservationOf(order.orderId))?.state, 'rejected');

  await happen(order.cancelled());
  const reservation = await world.reservationOf(order.orderId);
  assert.equal(reservation?.state, 'cancelled');
  assert.deepEqual(reservation?.items, order.items);
  await answered(order.orderId, 'inventory.rejected');
});

test('holdStock: an order of 100 products is held in one go', async () => {
  const ids = await Promise.all(Array.from({ length: 100 }, () => stocked(2)));
  const order = anOrder(ids.map((productId) => ({ productId, quantity: 2 })));
  await happen(order.created());
  await answered(order.orderId, 'inventory.reserved');
});

test('holdStock: after payBy, remembers the order, holds nothing and says nothing', async () => {
  const productId = await stocked(4);
  const order = anOrder([{ productId, quantity: 1 }], { payInMs: -1 });
  await happen(order.created());
  const { state, userId, items } = (await world.reservationOf(order.orderId)) ?? {};
  assert.deepEqual({ state, userId, items }, { state: 'expired', userId: order.userId, items: order.items });
  await happen(order.cancelled());
  assert.equal((await world.reservationOf(order.orderId))?.state, 'cancelled');
  assert.deepEqual(await world.booksOf(productId), { available: 4, held: 0, sold: 0 });
  assert.deepEqual(answersTo(order.orderId), []);
});

test('holdStock: a deleted product is held, sold and taken back as usual', async () => {
  const productId = await stocked(4);
  assert.equal((await service.call('DELETE', `/v1/products/${productId}`, { token: world.admin })).status, 204);
  const [bought, returned] = [anOrder([{ productId, quantity: 1 }]), anOrder([{ productId, quantity: 2 }])];
  await happen(bought.created(), returned.created(), bought.confirmed(), returned.confirmed(), returned.cancelled());
  assert.deepEqual(await world.booksOf(productId), { available: 3, held: 0, sold: 1 });
});

test('any order of arrival, each event twice: one hold, one release, and the same end', async () => {
  const stock = 10_000;
  const productId = await stocked(stock);
  // order.confirmed follows a hold, so order.created was here before it, and before order.cancelled.
  const confirmed = permutations(['created', 'confirmed', 'confirmed', 'cancelled', 'cancelled'] as const).map(
    (rest) => ['created', ...rest] as const,
  );
  const unconfirmed = permutations(['created', 'created', 'cancelled', 'cancelled'] as const);
  const stories = [...confirmed, ...unconfirmed, ['created', 'confirmed', 'created', 'confirmed'] as const];

  const told = await Promise.all(
    stories.map(async (story) => {
      const order = anOrder([{ productId, quantity: 2 }]);
      // Every second story repeats the very event; the others an event of the same content, as after the inbox has forgotten it.
      const same = { created: order.created(), confirmed: order.confirmed(), cancelled: order.cancelled() };
      const events = story.map((name) => (order.orderId.charCodeAt(35) % 2 === 0 ? same[name] : order[name]()));
      await world.tell(...events);
      return { story, order, events };
    }),
  );
  // One at a time, in the order of the queue: when this one is handled, all the repetitions are.
  await happen(...told.flatMap(({ events }) => events.slice(-1)), anOrder([]).cancelled());
  let sold = 0;
  for (const { story, order } of told) {
    const wasHeld = story[0] === 'created';
    const isCancelled = (story as readonly string[]).includes('cancelled');
    const state = (await world.reservationOf(order.orderId))?.state;
    assert.equal(state, !isCancelled ? 'sold' : wasHeld ? 'released' : 'cancelled', story.join(', '));
    if (state === 'sold') sold += 2;
    const answers = wasHeld ? ['inventory.reserved', ...(isCancelled ? ['inventory.released'] : [])] : [];
    await waitFor(`the answers to ${story}`, () => {
      assert.deepEqual(answersTo(order.orderId).sort(), answers.sort());
      return true;
    });
  }
  assert.deepEqual(await world.booksOf(productId), { available: stock - sold, held: 0, sold });
  await world.assertBooksBalance();
});

test('a tombstone: order.created after order.cancelled fills in what was ordered, and holds nothing', async () => {
  const productId = await stocked(1);
  const order = anOrder([{ productId, quantity: 1 }]);
  await happen(order.cancelled());
  const tombstone = await world.reservationOf(order.orderId);
  assert.deepEqual([tombstone?.state, tombstone?.userId, tombstone?.items], ['cancelled', order.userId, []]);
  await happen(order.created());
  const filled = await world.reservationOf(order.orderId);
  assert.deepEqual([filled?.state, filled?.userId, filled?.items], ['cancelled', order.userId, order.items]);
  await happen(order.confirmed());
  assert.equal((await world.reservationOf(order.orderId))?.state, 'cancelled');
  assert.deepEqual(await world.booksOf(productId), { available: 1, held: 0, sold: 0 });
});

test('sellStock: before anything is held, fails and is tried again: nothing is lost', async () => {
  const productId = await stocked(1);
  const order = anOrder([{ productId, quantity: 1 }]);
  const confirmed = order.confirmed();
  await world.tell(confirmed);
  await happen(anOrder([]).cancelled());
  assert.equal(await world.reservationOf(order.orderId), null);
  await happen(order.created());
  await world.handled(confirmed);
  assert.deepEqual(await world.booksOf(productId), { available: 0, held: 0, sold: 1 });
});

test('a message that is no event, or not as its contract says, is parked and stops nobody', async () => {
  const queue = queueOf('product-service');
  await world.broker.sendToQueue(queue, Buffer.from('{'));
  const wrong = { ...anOrder([{ productId: randomUUIDv7(), quantity: 1 }]).created(), data: { orderId: 'x' } };
  await world.tell(wrong as CloudEvent);
  await happen(anOrder([]).cancelled());
  for (const reason of [/JSON/, /orderId/]) {
    const dead = await waitFor('a dead letter', () => world.broker.take(`${queue}.dead`));
    assert.match(String(dead.headers['x-reason']), reason);
  }
});
