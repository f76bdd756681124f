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
import type { Request, RequestHandler } from 'express';
import { ClientGone, innerPath, type Look } from '../clients/proxy.ts';
import type { Upstream } from '../clients/upstream.ts';
import { warnOfUnknownProxy } from './client-address.ts';
import { mountDocs } from './docs.ts';
import { rewriteHeaders } from './forwarded-headers.ts';
import { type LastGoodCopies, withoutCredentials } from './last-good-copies.ts';
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

function forwardTo(upstream: Upstream): RequestHandler {
  return async (request, response) => {
    rewriteHeaders(request);
    try {
      await upstream.forward(request, response);
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
    const look: Look = (answer) => copies.look(key, request.method, answer);
    try {
      await upstream.forward(request, response, isOneOfMany(request) ? undefined : look);
    } catch (error) {
      if (error instanceof ClientGone) return;
      const isOutage = (error instanceof AppError && error.kind === 'unavailable') || hasTimedOut(error);
      if (!isOutage || !copies.send(key, request, response)) throw error;
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
  const compress = compression({ threshold: COMPRESSED_FROM_BYTES });
  mountDocs(app, rateLimits.general);
  const answerOf = (route: GatewayRoute): RequestHandler => {
    if (route.upstream === undefined) return ownAnswers[route.own];
    const upstream = upstreams[route.upstream];
    return isCatalogue(route) ? forwardWithCopies(upstream, lastGoodCopies) : forwardTo(upstream);
  };
  mountRows(app, routes, (route) => [
    ...rateLimits[route.rate],
    authorize(route, verifier),
    ...(hasTokens(route) ? [] : [compress]),
    answerOf(route),
  ]);
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
