// The gateway's HTTP side: each request is looked up, counted, authenticated and passed on, in the order that the contract names.
import type { TokenVerifier } from '@glasshouse/shared/auth';
import { AppError } from '@glasshouse/shared/errors';
import {
  authenticate,
  bodyTooLarge,
  createApp,
  createHttpServer,
  finishApp,
  HttpError,
  type HttpServer,
  MAX_BODY_BYTES,
  mountRows,
  requireJson,
} from '@glasshouse/shared/http';
import type { Logger } from '@glasshouse/shared/logger';
import compression from 'compression';
import type { Request, RequestHandler, Response } from 'express';
import { ClientGone, innerPath, type Look } from '../clients/proxy.ts';
import type { Upstream } from '../clients/upstream.ts';
import { warnOfUnknownProxy } from './client-address.ts';
import { mountDocs } from './docs.ts';
import { rewriteHeaders } from './forwarded-headers.ts';
import { type LastGoodCopies, sendCopy, withoutCredentials } from './last-good-copies.ts';
import type { RateLimits } from './rate-limits.ts';
import { type GatewayRoute, isCatalogue, type OwnAnswer, routes, type UpstreamName } from './routes.ts';
import { allowOrigins, refuseWindingPaths, secureAnswers } from './web-security.ts';

/** Smaller answers are not worth the work. */
const COMPRESSED_FROM_BYTES = 1_000;

/** The path is known and the limit not reached: may this caller do it? A body that is too large is refused before it is read. */
function authorize(route: GatewayRoute, verifier: TokenVerifier): RequestHandler {
  return async (request, _response, next) => {
    await authenticate(request, route.access, verifier);
    if (Number(request.get('content-length') ?? 0) > MAX_BODY_BYTES) {
      requireJson(request);
      throw bodyTooLarge();
    }
    next();
  };
}

const compress = compression({ threshold: COMPRESSED_FROM_BYTES });

/** Compresses what follows, where the client can read that; `compression` has no more to do than to make the response do so. */
const compressAnswer = (request: Request, response: Response) => compress(request, response, () => {});

/** The same once the answer's head is there, which tells of most that they are too short. */
function compressLong(request: Request, response: Response): Look {
  return ({ headers }) => {
    if (!(Number(headers['content-length']) < COMPRESSED_FROM_BYTES)) compressAnswer(request, response);
    return true;
  };
}

function forwardTo(upstream: Upstream, { mayCompress }: { mayCompress: boolean }): RequestHandler {
  return async (request, response) => {
    rewriteHeaders(request);
    try {
      await upstream.forward(request, response, mayCompress ? compressLong(request, response) : undefined);
    } catch (error) {
      if (!(error instanceof ClientGone)) throw error;
    }
  };
}

/** There is no end of these: kept, they would push out what everybody asks for. */
const isOneOfMany = ({ query }: Request) => 'search' in query || 'cursor' in query;

/** The catalogue's public answers: most are kept, and sent again while product-service can't answer. A fresh one is always asked for first. */
function forwardWithCopies(upstream: Upstream, copies: LastGoodCopies): RequestHandler {
  return async (request, response) => {
    const key = innerPath(request);
    rewriteHeaders(request);
    withoutCredentials(request);
    const compressIt = compressLong(request, response);
    const look: Look = (answer) => copies.look(key, request.method, answer) && compressIt(answer);
    try {
      await upstream.forward(request, response, isOneOfMany(request) ? compressIt : look);
    } catch (error) {
      if (error instanceof ClientGone) return;
      const isOutage = (error instanceof AppError && error.kind === 'unavailable') || hasTimedOut(error);
      const copy = isOutage ? copies.find(key) : undefined;
      if (copy === undefined || response.headersSent) throw error;
      compressAnswer(request, response);
      sendCopy(copy, request, response);
    }
  };
}

const hasTimedOut = (error: unknown) => error instanceof HttpError && error.status === 504;

/** Where tokens are in an answer beside what a client chose, its compressed length would give them away (https://breachattack.com). */
const hasTokens = ({ path }: GatewayRoute) => path.startsWith('/api/v1/auth/');

export function createGatewayServer(options: {
  upstreams: Record<UpstreamName, Upstream>;
  /** The answers of the routes that have no upstream. */
  ownAnswers: Record<OwnAnswer, RequestHandler>;
  lastGoodCopies: LastGoodCopies;
  rateLimits: RateLimits;
  verifier: TokenVerifier;
  corsOrigins: readonly string[];
  hstsMaxAgeS: number;
  trustedProxyHops: number;
  logger: Logger;
  host: string;
  port: number;
}): HttpServer {
  const { upstreams, ownAnswers, lastGoodCopies, rateLimits, verifier, logger, host, port } = options;
  const states = Object.entries(upstreams).map(([name, upstream]) => [name, upstream.state] as const);
  let draining = false;
  const app = createApp({
    logger,
    readiness: { conditions: { keys: verifier.hasKeys }, reported: Object.fromEntries(states) },
    isDraining: () => draining,
  });
  app.set('trust proxy', options.trustedProxyHops);
  if (options.trustedProxyHops === 0) app.use(warnOfUnknownProxy(logger));
  app.use(secureAnswers(options.hstsMaxAgeS), refuseWindingPaths);
  allowOrigins(
    app,
    options.corsOrigins,
    routes.map(({ path }) => path),
  );
  mountDocs(app, rateLimits.general);
  const answersOf = (route: GatewayRoute): RequestHandler[] => {
    if (route.upstream === undefined) return [compress, ownAnswers[route.own]];
    const upstream = upstreams[route.upstream];
    if (isCatalogue(route)) return [forwardWithCopies(upstream, lastGoodCopies)];
    return [forwardTo(upstream, { mayCompress: !hasTokens(route) })];
  };
  mountRows(app, routes, (route) => [...rateLimits[route.rate], authorize(route, verifier), ...answersOf(route)]);
  finishApp(app, logger);
  return createHttpServer({
    app,
    host,
    port,
    drain: () => {
      draining = true;
    },
  });
}
