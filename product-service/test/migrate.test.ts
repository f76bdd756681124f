// The migration command: collections and indexes, and the demo products where they are wanted.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { productCreated } from '@glasshouse/shared/contracts';
import { waitFor } from '@glasshouse/shared/testing';
import { addProduct, createWorld } from './support.ts';

async function runMigrate(env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, [`${import.meta.dirname}/../src/migrate.ts`], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [code, stderr] = await Promise.all([new Promise((resolve) => child.on('exit', resolve)), text(child.stderr)]);
  return { code, stderr };
}

test('migrate: with SEED_DEMO_DATA, adds the demo products once, with their stock, and has the others told', async () => {
  const world = await createWorld();
  const products = world.db.collection('products');
  try {
    const seeding = { MONGO_URL: world.mongo.url, SEED_DEMO_DATA: 'true' };
    // Two at once, as two copies of a deployment may.
    for (const result of await Promise.all([runMigrate(seeding), runMigrate(seeding)]))
      assert.deepEqual(result, { code: 0, stderr: '' });

    const service = await world.start();
    const { body } = await service.call('GET', '/v1/products?limit=100');
    assert.ok(body.items.length >= 24);
    for (const { stock, price } of body.items) {
      assert.ok(stock >= 100 && stock <= 1_000 && price.amount > 0);
      assert.equal(price.currency, 'USD');
    }
    const categories = (await service.call('GET', '/v1/categories')).body.items;
    assert.equal(categories.length, 5);
    assert.equal(
      categories.reduce((sum: number, { productCount }: { productCount: number }) => sum + productCount, 0),
      body.items.length,
    );
    const told = () => world.broker.eventsOf(productCreated).map((event) => event.subject);
    await waitFor('every product is told', () => told().length === body.items.length);
    assert.equal(new Set(told()).size, body.items.length);

    // What was done to them stays done.
    const [first, second] = body.items;
    await service.call('DELETE', `/v1/products/${first.id}`, { token: world.admin });
    const change = { token: world.admin, body: { version: 1, name: 'Renamed' } };
    await service.call('PATCH', `/v1/products/${second.id}`, change);
    await addProduct(world, service);
    const before = await products.find().sort({ _id: 1 }).toArray();
    assert.deepEqual(await runMigrate(seeding), { code: 0, stderr: '' });
    assert.deepEqual(await products.find().sort({ _id: 1 }).toArray(), before);
    await world.assertBooksBalance();
  } finally {
    await world.stop();
  }
});

test('migrate: with SEED_DEMO_DATA in production, refuses with one clear line', async () => {
  const { code, stderr } = await runMigrate({
    MONGO_URL: 'mongodb://x/y',
    SEED_DEMO_DATA: 'true',
    NODE_ENV: 'production',
  });
  assert.equal(code, 1);
  assert.equal(stderr, 'Wrong settings:\n  SEED_DEMO_DATA: is not for NODE_ENV=production\n');
});
