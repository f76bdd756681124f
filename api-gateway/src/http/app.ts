// The gateway's HTTP side: each request is looked up, counted, authenticated and passed on, in the order that the contract names.
import type { TokenVerifier } from '@glasshouse/shared/auth';
import {
  authenticate,
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
import type { RequestHandler } from 'express';
import { ClientGone } from '../clients/proxy.ts';
import type { Upstream } from '../clients/upstream.ts';
import { mountDocs } from './docs.ts';
import { rewriteHeaders } from './forwarded-headers.ts';
import type { RateLimits } from './rate-limits.ts';
import { type GatewayRoute, routes, type UpstreamName } from './routes.ts';

/** The path is known and the limit not reached: may this caller do it? A body that is too large is refused before it is read. */
function authorize(route: GatewayRoute, verifier: TokenVerifier): RequestHandler {
  return async (request, _response, next) => {
    await authenticate(request, route.access, verifier);
    if (Number(request.get('content-length') ?? 0) > MAX_BODY_BYTES) {
      requireJson(request);
      throw new HttpError(413, 'body.too-large', 'The body is larger than 100 kB.');
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

export function createGatewayServer(options: {
  upstreams: Record<UpstreamName, Upstream>;
  rateLimits: RateLimits;
  verifier: TokenVerifier;
  trustedProxyHops: number;
  logger: Logger;
  host: string;
  port: number;
}): HttpServer {
  const { upstreams, rateLimits, verifier, trustedProxyHops, logger, host, port } = options;
  const states = Object.entries(upstreams).map(([name, upstream]) => [name, upstream.state] as const);
  let draining = false;
  const app = createApp({
    logger,
    readiness: { conditions: { keys: verifier.hasKeys }, reported: Object.fromEntries(states) },
    isDraining: () => draining,
  });
  app.set('trust proxy', trustedProxyHops);
  mountDocs(app);
  mountRows(app, routes, (route) => [
    ...rateLimits[route.rate],
    authorize(route, verifier),
    forwardTo(upstreams[route.upstream]),
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
