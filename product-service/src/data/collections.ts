// The collections and indexes of the service; creating them again changes nothing.
import { createChassisCollections, type Database, dropIndex, ensureCollection } from '@glasshouse/shared/mongo';

const collectionNames = ['products', 'categories', 'stock_journal', 'reservations', 'reviews'];

export async function createCollections(database: Database): Promise<void> {
  await createChassisCollections(database);
  for (const name of collectionNames) await ensureCollection(database, name);

  // An index for each order of the list: of the whole catalogue, of a category, and of the products that have a word.
  const products = database.collection('products');
  const listed = { partialFilterExpression: { deleted: false } };
  for (const narrowed of ['deleted', 'category', 'words'])
    await products.createIndex({ [narrowed]: 1, _id: 1 }, listed);
  for (const field of ['price.amount', 'nameKey', 'rating.average']) {
    await products.createIndex({ [field]: 1, _id: 1 }, listed);
    for (const narrowed of ['category', 'words'])
      await products.createIndex({ [narrowed]: 1, [field]: 1, _id: 1 }, listed);
  }
  // Made by an earlier version; those that begin with the words have taken its place.
  await dropIndex(database, 'products', 'words_1');
  await database.collection('stock_journal').createIndex({ productId: 1 });

  const reviews = database.collection('reviews');
  await reviews.createIndex({ productId: 1, userId: 1 }, { unique: true });
  await reviews.createIndex({ productId: 1, _id: 1 });
  // Whether a user has bought a product.
  await database
    .collection('reservations')
    .createIndex({ userId: 1, 'items.productId': 1 }, { partialFilterExpression: { state: 'sold' } });
}
