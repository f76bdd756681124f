// What can go wrong by the rules of the business.
import { AppError } from '@glasshouse/shared/errors';

export const notCaptured = (status: string) =>
  new AppError('invalid', 'refund.not-captured', `The payment is ${status}: there is nothing to give back.`);
export const tooMuch = (left: number) =>
  new AppError('invalid', 'refund.too-much', `Only ${left} of the payment can still be given back, in minor units.`);
export const otherCurrency = (currency: string) =>
  new AppError('invalid', 'refund.other-currency', `The payment was made in ${currency}.`);
export const paymentNotFound = () => new AppError('not-found', 'payment.not-found', 'There is no such payment.');
export const invoiceNotPossible = (status: string) =>
  new AppError(
    'conflict',
    'payment.not-captured',
    `The payment is ${status}: there is an invoice only of what was captured.`,
  );
