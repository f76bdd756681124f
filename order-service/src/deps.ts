// What the handlers are given.
import type { Db } from '@glasshouse/shared/postgres';
import type { Admission } from './admission.ts';
import type { ProductClient } from './clients/product-client.ts';

export interface Deps {
  /** The pool for HTTP, the consumer's transaction for events. */
  db: Db;
  products: ProductClient;
  admission: Admission;
  sagaTimeoutS: number;
}
