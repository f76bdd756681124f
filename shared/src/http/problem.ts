// Every error is RFC 9457 problem details, with a code that stays the same and the trace it belongs to.
import type { NextFunction, Request, Response } from 'express';
import { AppError, classifyFailure, type ErrorKind, type FieldProblem } from '../errors/index.ts';
import type { Logger } from '../logger/index.ts';
import { currentCause, traceIdOf } from '../telemetry/index.ts';

/** The one table from kinds of errors to status codes. */
const statusOfKind: Record<ErrorKind, number> = {
  malformed: 400,
  invalid: 422,
  unauthenticated: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  unavailable: 503,
};

const titles: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
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

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: string;
  traceId: string;
  errors?: FieldProblem[];
}

/** Services serve a path without the prefix that the gateway has: what a client sees is the gateway's. */
export function publicPath(path: string): string {
  return /^\/v\d+(\/|$)/.test(path) ? `/api${path}` : path;
}

/** What body-parser and the router find, by the `type` or name that they give it. */
function toKnown(error: unknown): AppError | HttpError | undefined {
  if (error instanceof AppError || error instanceof HttpError) return error;
  const { type, status } = (error ?? {}) as { type?: string; status?: number };
  if (type === 'entity.too.large') return new HttpError(413, 'body.too-large', 'The body is larger than 100 kB.');
  if (type === 'charset.unsupported' || type === 'encoding.unsupported')
    return new HttpError(415, 'body.unsupported-type', 'The charset or encoding of the body is not supported.');
  if (error instanceof URIError) return new AppError('not-found', 'route.not-found', 'There is nothing at this path.');
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new AppError('malformed', 'body.malformed', 'The body is not valid JSON.');
  if (classifyFailure(error) !== 'fault')
    return new AppError('unavailable', 'database.unavailable', 'The service is not able to answer right now.', {
      cause: error,
      retryAfterS: 2,
    });
  return undefined;
}

/** Answers with `error` as a problem; one that is nobody's but ours is logged and told as a bare 500. */
export function sendProblem(request: Request, response: Response, error: unknown, logger: Logger): void {
  const known = toKnown(error);
  if (known === undefined) logger.error('a request failed', { error });
  else if (known instanceof AppError && known.kind === 'unavailable')
    logger.warn('a request could not be served', { error: known });
  const status = known === undefined ? 500 : known instanceof HttpError ? known.status : statusOfKind[known.kind];
  const code = known?.code ?? 'internal';
  const headers = known instanceof HttpError ? { ...known.headers } : {};
  if (known instanceof AppError && known.retryAfterS !== undefined) headers['Retry-After'] = String(known.retryAfterS);
  if (status === 401) headers['WWW-Authenticate'] = 'Bearer';
  const problem: Problem = {
    type: `https://glasshouse.example/problems/${code}`,
    title: titles[status] ?? 'Error',
    status,
    detail: known?.message ?? 'Something went wrong on our side.',
    instance: publicPath(request.originalUrl.split('?')[0] ?? '/'),
    code,
    traceId: traceIdOf(currentCause().traceparent),
    ...(known instanceof AppError && known.errors !== undefined && { errors: known.errors }),
  };
  if (response.headersSent) {
    response.destroy();
    return;
  }
  // A body that nobody reads would be taken for the next request on this connection.
  const hasBody = request.get('transfer-encoding') !== undefined || Number(request.get('content-length') ?? 0) > 0;
  if (hasBody && !request.complete) response.set('Connection', 'close');
  response
    .status(status)
    .set(headers)
    .set('Cache-Control', 'no-store')
    .type('application/problem+json')
    .send(JSON.stringify(problem));
}

/** The last middleware of an app. */
export function problemHandler(logger: Logger) {
  return (error: unknown, request: Request, response: Response, _next: NextFunction) =>
    sendProblem(request, response, error, logger);
}
