// The collections and indexes of the service; creating them again changes nothing.
import { createChassisCollections, type Database, ensureCollection } from '@glasshouse/shared/mongo';

export async function createCollections(database: Database): Promise<void> {
  await createChassisCollections(database);
  for (const name of ['products', 'categories', 'stock_journal', 'reservations'])
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
}
