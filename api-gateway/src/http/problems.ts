// What the gateway itself may answer instead of a service.
import { AppError } from '@glasshouse/shared/errors';
import { HttpError } from '@glasshouse/shared/http';

/** What a client is told to wait where no copy of a service can be had: as long as a circuit stays open. */
const RETRY_AFTER_S = 1;

export const rateLimitExceeded = () => new HttpError(429, 'rate-limit.exceeded', 'Too many requests; try again later.');
export const upstreamUnavailable = (name: string, cause?: unknown) =>
  new AppError('unavailable', 'upstream.unavailable', `${name} can't be reached right now.`, {
    cause,
    retryAfterS: RETRY_AFTER_S,
  });
export const upstreamTimeout = (name: string) =>
  new HttpError(504, 'upstream.timeout', `${name} did not answer in time.`);
export const answerTooLarge = () =>
  new HttpError(502, 'upstream.answer-too-large', 'The answer of the service is too large.');
export const answerMalformed = () =>
  new HttpError(502, 'upstream.answer-malformed', 'The answer of the service can not be read.');
