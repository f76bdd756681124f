// What can go wrong by the rules of the business.
import { AppError } from '@glasshouse/shared/errors';

export const productNotFound = () => new AppError('not-found', 'product.not-found', 'There is no such product.');
export const staleVersion = (current: number) =>
  new AppError('conflict', 'product.stale-version', `The product has changed meanwhile: it is at version ${current}.`);
export const notEnoughStock = (available: number) =>
  new AppError('conflict', 'product.not-enough-stock', `Only ${available} units are there to be taken away.`);
export const tooMuchStock = (max: number) =>
  new AppError('invalid', 'product.too-much-stock', `A product can have ${max} units in stock at most.`);
export const reviewNotBought = () =>
  new AppError('forbidden', 'review.not-bought', 'Only who has bought the product, and kept it, may review it.');
export const reviewExists = () => new AppError('conflict', 'review.exists', 'You have reviewed this product already.');
