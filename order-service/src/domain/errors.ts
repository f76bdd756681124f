// What can go wrong by the rules of the business.
import { AppError } from '@glasshouse/shared/errors';

export const orderNotFound = () => new AppError('not-found', 'order.not-found', 'There is no such order.');
export const orderNotCancellable = (status: string) =>
  new AppError('conflict', 'order.not-cancellable', `The order is ${status}: it can't be cancelled any more.`);
export const orderNotShippable = (status: string) =>
  new AppError('conflict', 'order.not-shippable', `Only a confirmed order can be shipped; this one is ${status}.`);
export const orderNotDeliverable = (status: string) =>
  new AppError('conflict', 'order.not-deliverable', `Only a shipped order can be delivered; this one is ${status}.`);
export const unknownProduct = (productId: string) =>
  new AppError('invalid', 'order.unknown-product', `There is no product ${productId} to order.`);
export const mixedCurrencies = () =>
  new AppError('invalid', 'order.mixed-currencies', 'All items of an order must have prices in one currency.');
export const priceChanged = () =>
  new AppError(
    'conflict',
    'order.price-changed',
    'The total differs from the one that you expect: a price has changed.',
  );
/** The client's to wait, not ours to be mended: as a 4xx it opens no circuit at the gateway. */
export const tooManyPending = () =>
  new AppError('throttled', 'order.too-many-pending', 'Too many orders are waiting to be decided: try again later.', {
    retryAfterS: 2,
  });
export const productServiceUnavailable = () =>
  new AppError('unavailable', 'product-service.unavailable', 'product-service gave an answer that makes no sense.', {
    retryAfterS: 1,
    cause: new Error('the answer is not a product'),
  });
