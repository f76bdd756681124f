// The collections and indexes of the service; creating them again changes nothing.
import { createChassisCollections, type Database, ensureCollection } from '@glasshouse/shared/mongo';

export async function createCollections(database: Database): Promise<void> {
  await createChassisCollections(database);
  for (const name of ['products', 'categories', 'stock_journal', 'reservations', 'reviews'])
    await ensureCollection(database, name);

  // One index for each order of the list, for the whole catalogue and for a category; `_id` alone is the newest first.
  const products = database.collection('products');
  const listed = { partialFilterExpression: { deleted: false } };
  await products.createIndex({ category: 1, _id: 1 }, listed);
  for (const field of ['price.amount', 'nameKey', 'rating.average']) {
    await products.createIndex({ [field]: 1, _id: 1 }, listed);
    await products.createIndex({ category: 1, [field]: 1, _id: 1 }, listed);
  }
  await products.createIndex({ words: 1 }, listed);
  await database.collection('stock_journal').createIndex({ productId: 1 });

  const reviews = database.collection('reviews');
  await reviews.createIndex({ productId: 1, userId: 1 }, { unique: true });
  await reviews.createIndex({ productId: 1, _id: 1 });
  // Whether a user has bought a product.
  await database
    .collection('reservations')
    .createIndex({ userId: 1, 'items.productId': 1 }, { partialFilterExpression: { state: 'sold' } });
}
