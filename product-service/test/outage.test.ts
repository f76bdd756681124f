// What becomes of the service while its database is away: it says so, loses nothing, and goes on by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inventoryReserved } from '@glasshouse/shared/contracts';
import { createTcpProxy, waitFor } from '@glasshouse/shared/testing';
import { addProduct, anOrder, createWorld, problemOf } from './support.ts';

test('service: while its database is gone, is live but not ready, and handles afterwards what came meanwhile', async () => {
  const world = await createWorld();
  const target = new URL(world.mongo.url);
  // The driver would else go to the address that the server itself tells.
  target.searchParams.delete('replicaSet');
  target.searchParams.set('directConnection', 'true');
  const proxy = await createTcpProxy(target.href);
  const service = await world.start({ MONGO_URL: proxy.url });
  try {
    await waitFor('readiness', async () => (await service.call('GET', '/ready')).status === 200);
    const { id: productId } = await addProduct(world, service, { stock: 5 });

    proxy.cut();
    const order = anOrder([{ productId, quantity: 2 }]);
    const created = order.created();
    await world.tell(created);
    const [ready, live, read] = await Promise.all([
      service.call('GET', '/ready'),
      service.call('GET', '/health'),
      service.call('GET', `/v1/products/${productId}`),
    ]);
    assert.deepEqual([ready.status, ready.body.database, ready.body.broker], [503, 'down', 'up']);
    assert.equal(live.status, 200);
    assert.deepEqual(problemOf(read), { status: 503, code: 'database.unavailable' });
    assert.equal(read.headers.get('retry-after'), '2');

    proxy.restore();
    await world.handled(created);
    assert.deepEqual(await world.booksOf(productId), { available: 3, held: 2, sold: 0 });
    await waitFor('readiness', async () => (await service.call('GET', '/ready')).status === 200);
    await waitFor('inventory.reserved', () => world.broker.eventsOf(inventoryReserved, order.orderId).length === 1);
    await world.assertBooksBalance();
  } finally {
    await world.stop();
    await proxy.stop();
  }
});
