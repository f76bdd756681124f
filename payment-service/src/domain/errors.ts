// What can go wrong by the rules of the business.
import { AppError } from '@glasshouse/shared/errors';

export const paymentNotFound = () => new AppError('not-found', 'payment.not-found', 'There is no such payment.');
