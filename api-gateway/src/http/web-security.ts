// What browsers are told about the answers, which pages may call, and which paths no request may take.
import { routeNotFound } from '@glasshouse/shared/http';
import cors from 'cors';
import type { Express, RequestHandler } from 'express';

/** JSON is not a page: nothing in it is to be run, and nothing is to show it in a frame. */
const NO_PAGE = "default-src 'none'; frame-ancestors 'none'";

/** How long a browser may remember what it was allowed, in seconds. */
const PREFLIGHT_MAX_AGE_S = 600;

/**
 * The headers that matter for an API (https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html). Who answers with a page sets
 * its own Content-Security-Policy over this one.
 * @param hstsMaxAgeS told where the request came over TLS (RFC 6797 forbids it elsewhere); 0 = never
 */
export function secureAnswers(hstsMaxAgeS: number): RequestHandler {
  return (request, response, next) => {
    response.set({ 'Content-Security-Policy': NO_PAGE, 'Referrer-Policy': 'no-referrer' });
    if (hstsMaxAgeS > 0 && request.secure) response.set('Strict-Transport-Security', `max-age=${hstsMaxAgeS}`);
    next();
  };
}

/**
 * Lets pages of these origins call, without cookies: who calls is told by a token. Nothing where there is no origin.
 * @param paths where a page may ask first (https://fetch.spec.whatwg.org/#cors-preflight-fetch); any other OPTIONS is a method like others
 */
export function allowOrigins(app: Express, origins: readonly string[], paths: readonly string[]): void {
  if (origins.length === 0) return;
  const allow = cors({
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'],
    allowedHeaders: [
      'authorization',
      'content-type',
      'idempotency-key',
      'traceparent',
      'x-correlation-id',
      'x-request-id',
    ],
    exposedHeaders: ['age', 'location', 'ratelimit', 'ratelimit-policy', 'retry-after', 'x-request-id'],
    maxAge: PREFLIGHT_MAX_AGE_S,
  });
  app.use((request, response, next) => (request.method === 'OPTIONS' ? next() : allow(request, response, next)));
  app.options([...paths], (request, response, next) => {
    const isPreflight =
      request.get('origin') !== undefined && request.get('access-control-request-method') !== undefined;
    if (isPreflight) allow(request, response, next);
    else next();
  });
}

/** A path that somebody behind us might read as another one, which has other rules, is a path that there is not. */
export const refuseWindingPaths: RequestHandler = (request, _response, next) =>
  next(/\\|(^|\/)(\.|%2e){1,2}(\/|$)/i.test(request.path) ? routeNotFound() : undefined);
