// Many orders want the last units at once, and two copies of the service take them from one queue: exactly what is there is sold.
import assert from 'node:assert/strict';
import { randomInt, randomUUIDv7 } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inventoryReserved } from '@glasshouse/shared/contracts';
import { createDatabase, inTransaction } from '@glasshouse/shared/mongo';
import { quietLogger, waitFor } from '@glasshouse/shared/testing';
import {
  addProduct,
  anOrder,
  changeStock,
  createWorld,
  type ProductBooks,
  type Running,
  type World,
} from './support.ts';

let world: World;
let copies: Running[];

before(async () => {
  world = await createWorld();
  copies = await Promise.all([world.start(), world.start()]);
});
after(() => world.stop());

const copy = (index: number) => copies[index % copies.length] as Running;
type Order = ReturnType<typeof anOrder>;

/** Places all orders at once and waits until each has one answer. */
async function placeAtOnce(orders: Order[]): Promise<{ reserved: Order[]; rejected: Order[] }> {
  await Promise.all(orders.map((order) => world.tell(order.created())));
  const answersTo = ({ orderId }: Order) =>
    world.broker.events.filter(({ source, subject }) => source === 'product-service' && subject === orderId);
  await waitFor('an answer to each order', () => orders.every((order) => answersTo(order).length > 0));
  for (const order of orders) assert.equal(answersTo(order).length, 1);
  const isReserved = ({ orderId }: Order) => world.broker.eventsOf(inventoryReserved, orderId).length === 1;
  return { reserved: orders.filter(isReserved), rejected: orders.filter((order) => !isReserved(order)) };
}

/** Changes random ones of the products in transactions of its own, until told to stop. */
function interfere(productIds: string[]) {
  const database = createDatabase({ url: world.mongo.url, service: 'product-service', logger: quietLogger });
  let stopped = false;
  let rounds = 0;
  const loop = async () => {
    while (!stopped) {
      await inTransaction(database, async (tx) => {
        const _id = productIds[randomInt(productIds.length)] ?? '';
        await tx.collection<ProductBooks>('products').updateOne({ _id }, { $inc: { counter: 1 } }, tx.within);
        await delay(randomInt(8));
      });
      rounds += 1;
      // Often enough to be met, seldom enough to let the others through on a slow machine.
      await delay(randomInt(60));
    }
  };
  const running = loop();
  return async () => {
    stopped = true;
    await running;
    await database.stop();
    return rounds;
  };
}

test('two copies: of 60 orders for 20 units, 20 are held and 40 rejected, and the 20 are sold', async () => {
  const { id: productId } = await addProduct(world, copy(0), { stock: 20 });
  const orders = Array.from({ length: 60 }, () => anOrder([{ productId, quantity: 1 }]));
  const { reserved, rejected } = await placeAtOnce(orders);
  assert.deepEqual([reserved.length, rejected.length], [20, 40]);
  const confirmed = reserved.map((order) => order.confirmed());
  await Promise.all(confirmed.map((event) => world.tell(event)));
  await world.handled(...confirmed);
  assert.deepEqual(await world.booksOf(productId), { available: 0, held: 0, sold: 20 });
  await world.assertBooksBalance();
});

test('two copies and a third party in the way: what is held is what fits, and the books balance', async (t) => {
  const products: { id: string }[] = await Promise.all(
    Array.from({ length: 4 }, (_, index) => addProduct(world, copy(index), { stock: 10 })),
  );
  const ids = products.map(({ id }) => id);
  const stop = interfere(ids);
  t.after(stop);
  const orders = Array.from({ length: 50 }, (_, index) =>
    anOrder(
      ids
        .filter((_, place) => place === index % 4 || randomInt(3) === 0)
        .reverse()
        .map((productId) => ({ productId, quantity: 1 })),
    ),
  );
  const stockCalls = ids.map((id, index) => changeStock(world, copy(index), id, { delta: 3, reason: 'delivery' }));
  const { reserved, rejected } = await placeAtOnce(orders);
  for (const reply of await Promise.all(stockCalls)) assert.equal(reply.status, 200);
  assert.ok(reserved.length > 0 && rejected.length > 0);
  await world.assertBooksBalance();

  const [kept, returned] = [reserved.filter((_, index) => index % 2 === 0), reserved.filter((_, index) => index % 2)];
  const ends = [...kept.map((order) => order.confirmed()), ...returned.map((order) => order.cancelled())];
  await Promise.all(ends.map((event) => world.tell(event)));
  await world.handled(...ends);
  assert.ok((await stop()) > 0);
  for (const id of ids) {
    const sold = kept.filter(({ items }) => items.some((item) => item.productId === id)).length;
    assert.deepEqual(await world.booksOf(id), { available: 13 - sold, held: 0, sold });
  }
  await world.assertBooksBalance();
});

test('changeStock: 12 calls at once with one key at two copies change the stock once', async () => {
  const { id } = await addProduct(world, copy(0), { stock: 5 });
  const key = randomUUIDv7();
  const replies = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      changeStock(world, copy(index), id, { delta: 7, reason: 'delivery' }, key),
    ),
  );
  for (const { status, body } of replies) assert.deepEqual([status, body.stock], [200, 12]);
  assert.equal(await world.db.collection('stock_journal').countDocuments({ productId: id }), 2);
});

test('changeStock: 12 calls at once that take 2 of 10 units each: 5 are granted, 7 refused', async () => {
  const { id } = await addProduct(world, copy(0), { stock: 10 });
  const replies = await Promise.all(
    Array.from({ length: 12 }, (_, index) => changeStock(world, copy(index), id, { delta: -2, reason: 'broken' })),
  );
  assert.deepEqual(
    replies.map(({ status }) => status).sort(),
    [200, 200, 200, 200, 200, 409, 409, 409, 409, 409, 409, 409],
  );
  assert.deepEqual(await world.booksOf(id), { available: 0, held: 0, sold: 0 });
  await world.assertBooksBalance();
});

test('updateProduct: of 6 changes at once that were made for one version, one wins and five are told', async () => {
  const { id } = await addProduct(world, copy(0));
  const replies = await Promise.all(
    Array.from({ length: 6 }, (_, index) =>
      copy(index).call('PATCH', `/v1/products/${id}`, { token: world.admin, body: { version: 1, name: `N${index}` } }),
    ),
  );
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 409, 409, 409, 409, 409]);
  assert.equal((await copy(0).call('GET', `/v1/products/${id}`)).body.version, 2);
});
