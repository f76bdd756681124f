// Every error is RFC 9457 problem details, with a code that stays the same and the trace it belongs to.
import type { NextFunction, Request, Response } from 'express';
import { z } from 'zod';
import { AppError, classifyFailure, type ErrorKind, type FieldProblem } from '../errors/index.ts';
import type { Logger } from '../logger/index.ts';
import { currentCause, traceIdOf } from '../telemetry/index.ts';

export const MAX_BODY_BYTES = 100_000;
/** How much is read of a body only to drop it. */
const MAX_DROPPED_BYTES = 1_000_000;

/** The one table from kinds of errors to status codes. */
const statusOfKind: Record<ErrorKind, number> = {
  malformed: 400,
  invalid: 422,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  throttled: 429,
  unavailable: 503,
};

const titles: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
};

/** An error that only HTTP knows: method, media type, size, rate, time-out. */
export class HttpError extends Error {
  override name = 'HttpError';
  readonly status: number;
  readonly code: string;
  readonly headers: Record<string, string>;

  constructor(status: number, code: string, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.headers = headers;
  }
}

// What the chassis itself refuses, in the order in which it checks.

export const requestMalformed = () =>
  new HttpError(400, 'request.malformed', 'This is not an HTTP request that can be read.');
export const routeNotFound = () => new AppError('not-found', 'route.not-found', 'There is nothing at this path.');
export const tokenMissing = () => new AppError('unauthenticated', 'token.missing', 'A bearer token is needed.');
export const roleMissing = () => new AppError('forbidden', 'role.missing', 'Only an admin may do this.');
export const bodyOfUnsupportedType = (message = 'The body has to be application/json.') =>
  new HttpError(415, 'body.unsupported-type', message);
export const bodyTooLarge = () => new HttpError(413, 'body.too-large', 'The body is larger than 100 kB.');
export const bodyMalformed = () => new AppError('malformed', 'body.malformed', 'The body is not valid JSON.');
export const queryInvalid = (errors: FieldProblem[]) =>
  new AppError('malformed', 'query.invalid', 'The query has wrong or unknown parameters.', { errors });
export const idempotencyKeyMissing = () =>
  new AppError(
    'malformed',
    'idempotency-key.missing',
    'An Idempotency-Key header of 1 to 255 printable ASCII characters is needed.',
  );
export const bodyInvalid = (errors: FieldProblem[]) =>
  new AppError('invalid', 'body.invalid', 'The body has wrong or unknown fields.', { errors });
export const resourceNotFound = () => new AppError('not-found', 'resource.not-found', 'There is no such resource.');
export const databaseUnavailable = (cause?: unknown) =>
  new AppError('unavailable', 'database.unavailable', 'The service is not able to answer right now.', {
    cause,
    retryAfterS: 2,
  });

export type KnownError = AppError | HttpError;

/** The status that an error is answered with. */
export const statusOf = (error: KnownError): number =>
  error instanceof HttpError ? error.status : statusOfKind[error.kind];

/** RFC 9457, with the code that stays the same, the trace, and each wrong field. */
export const problemSchema = z
  .object({
    type: z.url(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string(),
    traceId: z.string(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.output<typeof problemSchema>;

/** An error as it is told. */
export function toProblem(error: KnownError | undefined, at: { instance: string; traceId: string }): Problem {
  const status = error === undefined ? 500 : statusOf(error);
  const code = error?.code ?? 'internal';
  return {
    type: `https://glasshouse.example/problems/${code}`,
    title: titles[status] ?? 'Error',
    status,
    detail: error?.message ?? 'Something went wrong on our side.',
    ...at,
    code,
    ...(error instanceof AppError && error.errors !== undefined && { errors: error.errors }),
  };
}

/** Services serve a path without the prefix that the gateway has: what a client sees is the gateway's. */
export function publicPath(path: string): string {
  return /^\/v\d+(\/|$)/.test(path) ? `/api${path}` : path;
}

/** What body-parser and the router find, by the `type` or name that they give it. */
function toKnown(error: unknown): KnownError | undefined {
  if (error instanceof AppError || error instanceof HttpError) return error;
  const { type, status } = (error ?? {}) as { type?: string; status?: number };
  if (type === 'entity.too.large') return bodyTooLarge();
  if (type === 'charset.unsupported' || type === 'encoding.unsupported')
    return bodyOfUnsupportedType('The charset or encoding of the body is not supported.');
  if (error instanceof URIError) return routeNotFound();
  if (typeof status === 'number' && status >= 400 && status < 500) return bodyMalformed();
  if (classifyFailure(error) !== 'fault') return databaseUnavailable(error);
  return undefined;
}

/** Whether a body comes with the request (RFC 9112, section 6.3); one of length 0 is none. */
export function hasBody(request: Request): boolean {
  return request.get('transfer-encoding') !== undefined || Number(request.get('content-length') ?? 0) > 0;
}

/**
 * Reads and drops what is still to come of a body that nobody wants. Before the answer: a connection that is closed with something unread is reset,
 * and the answer lost with it (RFC 9112, section 9.6), so that who sends, the gateway too, finds a broken connection in its place.
 * @returns whether there may be an answer: `keep` or `close` the connection after it; `gone` where the request has ended before its time
 */
export function dropBody(request: Request): Promise<'keep' | 'close' | 'gone'> {
  if (!hasBody(request) || request.complete) return Promise.resolve('keep');
  if (Number(request.get('content-length') ?? 0) > MAX_DROPPED_BYTES) return Promise.resolve('close');
  if (request.closed) return Promise.resolve('gone');
  return new Promise((resolve) => {
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_DROPPED_BYTES) resolve('close');
    });
    request.once('end', () => resolve('keep'));
    request.once('close', () => resolve(request.complete ? 'keep' : 'gone'));
    request.resume();
  });
}

/** Answers with `error` as a problem; one that is nobody's but ours is logged and told as a bare 500. */
export async function sendProblem(request: Request, response: Response, error: unknown, logger: Logger): Promise<void> {
  const known = toKnown(error);
  if (known === undefined) logger.error('a request failed', { error });
  // What somebody has to mend has a cause. A refusal because too much is under way has none, and must not cost more than the work itself.
  else if (known instanceof AppError && known.kind === 'unavailable' && known.cause !== undefined)
    logger.warn('a request could not be served', { error: known });
  const problem = toProblem(known, {
    instance: publicPath(request.originalUrl.split('?')[0] ?? '/'),
    traceId: traceIdOf(currentCause().traceparent),
  });
  const { status, code } = problem;
  response.locals.code = code;
  const headers = known instanceof HttpError ? { ...known.headers } : {};
  if (known instanceof AppError && known.retryAfterS !== undefined) headers['Retry-After'] = String(known.retryAfterS);
  if (status === 401) headers['WWW-Authenticate'] = 'Bearer';
  const connection = response.headersSent ? 'gone' : await dropBody(request);
  if (connection === 'gone') {
    response.destroy();
    return;
  }
  if (connection === 'close') response.set('Connection', 'close');
  response
    .status(status)
    .set(headers)
    .set('Cache-Control', 'no-store')
    .type('application/problem+json')
    .send(JSON.stringify(problem));
}

/** What the parser refuses never becomes a request, so it is answered on the socket: the same form, in full. */
export function unreadableAnswer({ code }: NodeJS.ErrnoException): string {
  const refusal =
    code === 'HPE_HEADER_OVERFLOW'
      ? new HttpError(431, 'request.header-too-large', 'The path and the headers are larger than 16 kB.')
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new HttpError(408, 'request.timeout', 'The request took too long to arrive.')
        : requestMalformed();
  const problem = toProblem(refusal, { instance: '/', traceId: traceIdOf(currentCause().traceparent) });
  const body = JSON.stringify(problem);
  return [
    `HTTP/1.1 ${problem.status} ${problem.title}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'X-Content-Type-Options: nosniff',
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

/** The last middleware of an app. */
export function problemHandler(logger: Logger) {
  return (error: unknown, request: Request, response: Response, _next: NextFunction) =>
    sendProblem(request, response, error, logger);
}
