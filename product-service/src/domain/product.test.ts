// The rules of a product and of a category, without a server.
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import { AppError } from '@glasshouse/shared/errors';
import { nameOfCategory } from './category.ts';
import { create, MAX_STOCK, rate, remove, restock, revise } from './product.ts';

const now = new Date('2026-03-01T12:00:00.000Z');
const later = new Date('2026-03-02T12:00:00.000Z');
const input = {
  id: randomUUIDv7(),
  name: 'Kettle',
  description: 'Boils.',
  category: 'kitchen',
  price: { amount: 4900, currency: 'USD' },
  stock: 7,
};
const { product } = create(input, now);
const refuses = (code: string, work: () => unknown) =>
  assert.throws(work, (error) => error instanceof AppError && error.code === code);

test('create: version 1, not rated, and told without its stock', () => {
  assert.deepEqual(product, {
    ...input,
    rating: { average: 0, count: 0, sum: 0 },
    version: 1,
    deleted: false,
    createdAt: now,
    updatedAt: now,
  });
  const { id: productId, stock: _stock, ...entry } = input;
  assert.deepEqual(create(input, now).events, [
    { type: 'product.created', subject: productId, data: { productId, ...entry, version: 1 } },
  ]);
});

test('revise: each field alone is a change, with a higher version that is told', () => {
  const price = { amount: 4900, currency: 'EUR' };
  for (const change of [{ name: 'Pot' }, { description: 'Cooks.' }, { category: 'home' }, { price }]) {
    const { product: revised, events } = revise(product, change, 1, later);
    assert.deepEqual(revised, { ...product, ...change, version: 2, updatedAt: later });
    assert.deepEqual(
      events.map(({ type, data }) => [type, (data as { version: number }).version]),
      [['product.updated', 2]],
    );
  }
});

test('revise: no change is no change, and another version is a conflict', () => {
  assert.deepEqual(revise(product, { name: 'Kettle', price: { ...input.price } }, 1, later), { product, events: [] });
  refuses('product.stale-version', () => revise(product, {}, 2, later));
});

test('remove: keeps the stock, counts the version up, tells no more than that', () => {
  const { product: removed, events } = remove(product, later);
  assert.deepEqual(removed, { ...product, deleted: true, version: 2, updatedAt: later });
  assert.deepEqual(events, [
    { type: 'product.deleted', subject: product.id, data: { productId: product.id, version: 2 } },
  ]);
});

test('restock: from nothing to a million, and back from above', () => {
  assert.equal(restock(product, -7).stock, 0);
  assert.equal(restock(product, MAX_STOCK - 7).stock, MAX_STOCK);
  refuses('product.not-enough-stock', () => restock(product, -8));
  refuses('product.too-much-stock', () => restock(product, MAX_STOCK - 6));
  assert.equal(restock({ ...product, stock: MAX_STOCK + 9 }, -1).stock, MAX_STOCK + 8);
});

test('rate: the average to two decimals, the version as it was, and no drift over a thousand ratings', () => {
  const averages = [1, 2, 3].map((count) => [5, 4, 4].slice(0, count).reduce(rate, product).rating.average);
  assert.deepEqual(averages, [5, 4.5, 4.33]);
  assert.deepEqual(rate(product, 4), { ...product, rating: { average: 4, count: 1, sum: 4 } });
  const many = Array.from({ length: 1_000 }, (_, index) => 1 + ((index * 7) % 5));
  const sum = many.reduce((total, rating) => total + rating, 0);
  assert.deepEqual(many.reduce(rate, product).rating, { average: sum / 1_000, count: 1_000, sum });
});

test('nameOfCategory: a slug as a person would write it', () => {
  assert.deepEqual(['kitchen', 'garden-tools', '3d', '-a-', '--'].map(nameOfCategory), [
    'Kitchen',
    'Garden tools',
    '3d',
    'A',
    '--',
  ]);
});
