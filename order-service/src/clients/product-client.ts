// Asks product-service for a product that the price list lacks: the only synchronous call between services in the saga.
import { createServiceClient } from '@glasshouse/shared/resilience';
import { z } from 'zod';
import type { PricedProduct } from '../data/price-list-repository.ts';
import { productServiceUnavailable } from '../domain/errors.ts';

const productSchema = z.object({
  id: z.uuid(),
  name: z.string(),
  price: z.object({ amount: z.int(), currency: z.string() }),
  version: z.int(),
});

export interface ProductClient {
  /** @returns undefined where there is no such product. Throws AppError `unavailable` where nobody answers. */
  getProduct(id: string): Promise<PricedProduct | undefined>;
}

/** @param timeoutMs for one try */
export function createProductClient(options: { urls: string[]; timeoutMs: number }): ProductClient {
  const client = createServiceClient({ name: 'product-service', ...options });
  return {
    async getProduct(id) {
      const { status, body } = await client.get(`/v1/products/${id}`);
      if (status === 404) return undefined;
      const product = productSchema.safeParse(body);
      if (status !== 200 || !product.success) throw productServiceUnavailable();
      const { name, price, version } = product.data;
      return { productId: id, version, deleted: false, name, price };
    },
  };
}
