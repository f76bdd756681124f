// A product of the catalogue: pure functions from a product and a command to the product that follows and the facts to tell.
import {
  type DomainEvent,
  type Money,
  productCreated,
  productDeleted,
  productUpdated,
} from '@glasshouse/shared/contracts';
import { notEnoughStock, staleVersion, tooMuchStock } from './errors.ts';

/** What an admin may bring a product's stock to. What comes back from orders may go above it. */
export const MAX_STOCK = 1_000_000;

export interface Rating {
  /** Of the ratings from 1 to 5, to two decimals; 0 where there are none. */
  average: number;
  count: number;
  /** All ratings added up: the average comes from it, so that it does not drift. */
  sum: number;
}

export interface Product {
  id: string;
  name: string;
  description: string;
  /** A slug, such as `garden-tools`. */
  category: string;
  price: Money;
  /** Units that can be ordered now. */
  stock: number;
  rating: Rating;
  /** Counts changes of the catalogue entry, not of stock and rating. */
  version: number;
  /** A deleted product is out of the catalogue and keeps its stock: orders accepted before are held and sold as usual. */
  deleted: boolean;
  createdAt: Date;
  updatedAt: Date;
}

/** What an admin writes into the catalogue. */
export type CatalogueEntry = Pick<Product, 'name' | 'description' | 'category' | 'price'>;

export interface Decision {
  product: Product;
  /** Empty where the product stays as it is. */
  events: DomainEvent[];
}

const snapshot = ({ id: productId, name, description, category, price, version }: Product) => ({
  productId,
  name,
  description,
  category,
  price,
  version,
});

export function create(input: CatalogueEntry & Pick<Product, 'id' | 'stock'>, now: Date): Decision {
  const product: Product = {
    ...input,
    rating: { average: 0, count: 0, sum: 0 },
    version: 1,
    deleted: false,
    createdAt: now,
    updatedAt: now,
  };
  return { product, events: [productCreated.of(snapshot(product))] };
}

/**
 * Changes what `changes` names. Where all of it is so already, the product stays as it is.
 * @param version the one that the changes were made for
 * @throws AppError `conflict` where it is not the present one
 */
export function revise(
  product: Product,
  changes: { [K in keyof CatalogueEntry]?: CatalogueEntry[K] | undefined },
  version: number,
  now: Date,
): Decision {
  if (product.version !== version) throw staleVersion(product.version);
  const {
    name = product.name,
    description = product.description,
    category = product.category,
    price = product.price,
  } = changes;
  const isSame =
    name === product.name &&
    description === product.description &&
    category === product.category &&
    price.amount === product.price.amount &&
    price.currency === product.price.currency;
  if (isSame) return { product, events: [] };
  const revised = { ...product, name, description, category, price, version: version + 1, updatedAt: now };
  return { product: revised, events: [productUpdated.of(snapshot(revised))] };
}

export function remove(product: Product, now: Date): Decision {
  const version = product.version + 1;
  const event = productDeleted.of({ productId: product.id, version });
  return { product: { ...product, version, deleted: true, updatedAt: now }, events: [event] };
}

/**
 * Units come in or are taken away.
 * @param delta units, negative where they are taken away
 * @throws AppError where there would be less than none, or too many
 */
export function restock(product: Product, delta: number): Product {
  const stock = product.stock + delta;
  if (stock < 0) throw notEnoughStock(product.stock);
  if (delta > 0 && stock > MAX_STOCK) throw tooMuchStock(MAX_STOCK);
  return { ...product, stock };
}

/**
 * A customer has rated it. That is no change of the catalogue entry: the version stays, and nobody is told.
 * @param rating 1 to 5
 */
export function rate(product: Product, rating: number): Product {
  const count = product.rating.count + 1;
  const sum = product.rating.sum + rating;
  return { ...product, rating: { average: Math.round((100 * sum) / count) / 100, count, sum } };
}
