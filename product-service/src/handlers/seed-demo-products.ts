// The products that a demo begins with. For demos only: migrate.ts refuses them in production.
import { inTransaction } from '@glasshouse/shared/mongo';
import { runWork } from '@glasshouse/shared/telemetry';
import { demoProducts } from '../data/demo-products.ts';
import { findProduct } from '../data/product-repository.ts';
import type { Deps } from '../deps.ts';
import { addProduct } from './create-product.ts';

/** Adds those that are not there yet, with their stock; one that was deleted stays deleted. */
export async function seedDemoProducts({ db }: Pick<Deps, 'db'>): Promise<void> {
  for (const entry of demoProducts)
    await runWork({ correlationId: 'demo-data' }, { name: 'seed' }, () =>
      inTransaction(db, async (tx) => {
        if ((await findProduct(tx, entry.id)) === undefined) await addProduct(tx, entry, { reason: 'demo data' });
      }),
    );
}
