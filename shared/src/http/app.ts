// From a table of routes to an HTTP server: context, checks in the order that the contract names, problem details, health, and a graceful end.
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import express, { type Express, type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { z } from 'zod';
import { type Identity, isAdmin, type TokenVerifier } from '../auth/index.ts';
import type { AppError, FieldProblem } from '../errors/index.ts';
import type { Logger } from '../logger/index.ts';
import type { Part } from '../process/index.ts';
import {
  beginWork,
  currentIds,
  durationHistogram,
  failSpan,
  inThisWork,
  SpanKind,
  tellAbout,
} from '../telemetry/index.ts';
import {
  bodyInvalid,
  bodyOfUnsupportedType,
  dropBody,
  HttpError,
  hasBody,
  idempotencyKeyMissing,
  MAX_BODY_BYTES,
  problemHandler,
  queryInvalid,
  requestMalformed,
  resourceNotFound,
  roleMissing,
  routeNotFound,
  sendProblem,
  tokenMissing,
  unreadableAnswer,
} from './problem.ts';
import type { Access, Route } from './route.ts';

/** A probe does not wait for long, in milliseconds: no answer by then is one. */
const READY_LIMIT_MS = 2_000;
const requestIdPattern = /^[A-Za-z0-9._-]{1,128}$/;
const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const idempotencyKeyPattern = /^[\x20-\x7e]{1,255}$/;

/** What a call takes that needs no body and yet brings one: an object without fields. */
const noFields = z.strictObject({});

const recordRequest = durationHistogram('http.server.request.duration', 'Duration of HTTP server requests.');

const pathOf = ({ originalUrl }: Request) => originalUrl.split('?')[0] ?? '/';
const isProbe = ({ path }: Request) => path === '/health' || path === '/ready';

/** Which order a request is about: the one in its path, or the one that it has made. */
function orderIdOf(request: Request, response: Response): string | undefined {
  const [, id] = /\/v1\/orders\/([^/?]+)/.exec(String(response.get('location') ?? request.originalUrl)) ?? [];
  return id !== undefined && uuidPattern.test(id) ? id.toLowerCase() : undefined;
}

/** Gives each request its trace and its request id (taken or made, and returned), and logs one line when it is answered. */
export function requestContext(logger: Logger) {
  return (request: Request, response: Response, next: NextFunction) => {
    const given = request.get('x-request-id') ?? request.get('x-correlation-id');
    const correlationId = given !== undefined && requestIdPattern.test(given) ? given : undefined;
    const { method } = request;
    const startedAt = performance.now();
    const cause = { correlationId, traceparent: request.get('traceparent') };
    const description = { name: method, kind: SpanKind.SERVER, attributes: { 'http.request.method': method } };
    beginWork(cause, description, (span) => {
      response.set('x-request-id', currentIds().requestId);
      const onClose = () => {
        const seconds = (performance.now() - startedAt) / 1000;
        const { statusCode: status } = response;
        const route = request.route?.path ?? 'unmatched';
        const outcome = { 'http.request.method': method, 'http.response.status_code': status, 'http.route': route };
        recordRequest(seconds, outcome);
        // A probe's span never ends, and so is never sent.
        if (isProbe(request)) return;
        const orderId = orderIdOf(request, response);
        if (orderId !== undefined) tellAbout({ orderId });
        if (span.isRecording()) {
          span.updateName(`${method} ${route}`);
          // What is no path of ours may be anything.
          const path = request.route === undefined ? {} : { 'url.path': pathOf(request) };
          span.setAttributes({ ...outcome, ...path, 'url.scheme': request.protocol });
          if (status >= 500) failSpan(span, { code: status });
          span.end();
        }
        const { code } = response.locals as { code?: string };
        logger[status === 503 ? 'warn' : 'info']('request', {
          method,
          path: pathOf(request),
          status,
          ...(code === undefined ? {} : { code }),
          durationMs: Math.round(seconds * 1000),
          ...(response.writableFinished ? {} : { aborted: true }),
        });
      };
      // Whoever ends the response may be somebody else's work.
      response.on('close', inThisWork(onClose));
      next();
    });
  };
}

async function identify(request: Request, verifier: TokenVerifier): Promise<Identity> {
  const [, token] = /^Bearer ([\w.~+/-]+=*)$/i.exec(request.get('authorization') ?? '') ?? [];
  if (token === undefined) throw tokenMissing();
  const identity = await verifier.verify(token);
  tellAbout({ userId: identity.userId });
  return identity;
}

/**
 * Checks the bearer token, once for a request.
 * @throws AppError `unauthenticated` without a good token, `forbidden` without the role
 */
export async function authenticate(
  request: Request,
  access: Access,
  verifier: TokenVerifier,
): Promise<Identity | undefined> {
  if (access === 'anyone') return undefined;
  const { locals } = request.res as Response<unknown, { identity?: Promise<Identity> }>;
  locals.identity ??= identify(request, verifier);
  const identity = await locals.identity;
  if (access === 'admin' && !isAdmin(identity)) throw roleMissing();
  return identity;
}

function fieldProblems(error: z.ZodError): FieldProblem[] {
  return error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), message: 'is not a known field' }))
      : [{ path: issue.path.join('.'), message: issue.message }],
  );
}

function check<S extends z.ZodType>(
  schema: S,
  value: unknown,
  refusal: (errors: FieldProblem[]) => AppError,
): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw refusal(fieldProblems(result.error));
}

const parseJson = express.json({ limit: MAX_BODY_BYTES, strict: false, type: () => true });

const isJson = (request: Request) =>
  request.is('application/json') !== false && request.get('content-type') !== undefined;

/** @throws HttpError 415 where the body is not declared as JSON */
export function requireJson(request: Request): void {
  if (!isJson(request)) throw bodyOfUnsupportedType();
}

function readBody(request: Request, response: Response): Promise<unknown> {
  requireJson(request);
  return new Promise((resolve, reject) => {
    parseJson(request, response, (error?: unknown) => (error ? reject(error) : resolve(request.body)));
  });
}

/** Whether there is a body to judge where none is wanted: chunks that end before the first byte are none, and need no media type. */
function bringsBody(request: Request): boolean | Promise<boolean> {
  const length = request.get('content-length');
  if (!hasBody(request) || length !== undefined || isJson(request)) return hasBody(request);
  if (request.closed) return true;
  return new Promise((resolve) => {
    request.once('data', () => {
      request.pause();
      resolve(true);
    });
    request.once('end', () => resolve(false));
    request.once('close', () => resolve(true));
  });
}

async function answer(
  route: Route,
  request: Request,
  response: Response,
  verifier: TokenVerifier | undefined,
): Promise<void> {
  const user = verifier === undefined ? undefined : await authenticate(request, route.access, verifier);
  const bodySchema = route.body ?? (route.method !== 'get' && (await bringsBody(request)) ? noFields : undefined);
  const rawBody = bodySchema && (await readBody(request, response));
  const query = route.query === undefined ? {} : check(route.query, request.query, queryInvalid);
  const idempotencyKey = request.get('idempotency-key') ?? '';
  if (route.idempotent && !idempotencyKeyPattern.test(idempotencyKey)) throw idempotencyKeyMissing();
  const body = bodySchema && check(bodySchema, rawBody, bodyInvalid);
  const params = request.params as Record<string, string>;
  for (const [name, value] of Object.entries(params))
    if (/(^id|Id)$/.test(name) && !uuidPattern.test(value)) throw resourceNotFound();
  const ids = Object.fromEntries(Object.entries(params).map(([name, value]) => [name, value.toLowerCase()]));
  const operation = `${request.method} ${route.path.replace(/:(\w+)/g, (_, name: string) => ids[name] ?? '')}`;
  if (bodySchema === undefined) await dropBody(request);
  const result = await route.handle({
    params: ids,
    body,
    query,
    user: user as Identity,
    idempotencyKey,
    operation,
    clientIp: request.ip ?? '',
  });
  response.status(result.status);
  if (result.headers !== undefined) response.set(result.headers);
  if (route.access !== 'anyone') response.set('Cache-Control', 'no-store');
  if (result.body === undefined) response.end();
  else response.json(result.body);
}

/** Mounts the rows of a URL table: a known path with another method is a 405 that names the allowed ones. */
export function mountRows<R extends Pick<Route, 'method' | 'path'>>(
  app: Express,
  rows: readonly R[],
  handlersOf: (row: R) => RequestHandler[],
): void {
  const paths = new Set(rows.map((row) => row.path));
  for (const path of paths) {
    const mounted = rows.filter((row) => row.path === path);
    const mount = app.route(path);
    for (const row of mounted) mount[row.method](...handlersOf(row));
    const allow = mounted
      .flatMap((row) => (row.method === 'get' ? ['GET', 'HEAD'] : [row.method.toUpperCase()]))
      .join(', ');
    mount.all((request) => {
      throw new HttpError(405, 'method.not-allowed', `${request.method} is not possible here.`, { Allow: allow });
    });
  }
}

/** Mounts a service's routes. */
export function mountRoutes(app: Express, routes: readonly Route[], verifier: TokenVerifier | undefined): void {
  mountRows(app, routes, (route) => [(request, response) => answer(route, request, response, verifier)]);
}

export interface Readiness {
  /** The name of each condition and whether it holds; all must hold. */
  conditions: Record<string, () => boolean | Promise<boolean>>;
  /** What is told but not judged. */
  reported?: Record<string, () => string>;
}

/** An Express app without routes: the security of its answers, the request's context, `GET /health` and `GET /ready`. */
export function createApp(options: { logger: Logger; readiness: Readiness; isDraining: () => boolean }): Express {
  const { logger, readiness, isDraining } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // Without etags nothing is ever unchanged, and yet `If-None-Match: *` would empty each answer into a 304. Files judge for themselves.
  Object.defineProperty(app.request, 'fresh', { value: false });
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.use(requestContext(logger));
  app.use((request, response, next) => {
    response.set('X-Content-Type-Options', 'nosniff');
    if (isDraining()) response.set('Connection', 'close');
    // The server would refuse it by itself, but without a word.
    next(request.httpVersion === '1.1' && request.headers.host === undefined ? requestMalformed() : undefined);
  });
  const answerHealth: RequestHandler = (_request, response) => {
    response.json({ status: 'live' });
  };
  const answerReady: RequestHandler = async (_request, response) => {
    const names = Object.entries(readiness.conditions);
    const held = await Promise.all(
      names.map(async ([name, holds]) => {
        const tooLate = delay(READY_LIMIT_MS, false, { ref: false });
        return [name, await Promise.race([holds(), tooLate])] as const;
      }),
    );
    const isReady = !isDraining() && held.every(([, holds]) => holds);
    const conditions = held.map(([name, holds]) => [name, holds ? 'up' : 'down'] as const);
    const reported = Object.entries(readiness.reported ?? {}).map(([name, report]) => [name, report()] as const);
    response.status(isReady ? 200 : 503).json({
      status: isDraining() ? 'draining' : isReady ? 'ready' : 'not ready',
      ...Object.fromEntries([...conditions, ...reported]),
    });
  };
  mountRows(
    app,
    [
      { method: 'get', path: '/health', answer: answerHealth },
      { method: 'get', path: '/ready', answer: answerReady },
    ],
    ({ answer }) => [answer],
  );
  return app;
}

/** Ends an app: what no route took is a 404, what a route threw is a problem. */
export function finishApp(app: Express, logger: Logger): void {
  app.use((request: Request, response: Response) => {
    sendProblem(request, response, routeNotFound(), logger);
  });
  app.use(problemHandler(logger));
}

export interface HttpServer extends Part {
  /** Where it listens; known once it has started. */
  port(): number;
  server: Server;
}

/**
 * Listens until stopped; a stop lets requests in flight end.
 * @throws EADDRINUSE with one clear line where the port is taken
 */
export function createHttpServer(options: {
  app: Express;
  host: string;
  port: number;
  drain?: () => void;
}): HttpServer {
  const { app, host, port, drain } = options;
  const limits = { keepAliveTimeout: 65_000, requestTimeout: 30_000, headersTimeout: 10_000 };
  const server = createServer({ ...limits, requireHostHeader: false }, app);
  const underWay = new Set<ServerResponse>();
  /** Connections that end with the answer that is under way. */
  const ending = new WeakSet<Duplex>();
  let stopping = false;
  /** Each connection ends with its next answer. */
  const endConnections = () => {
    drain?.();
    for (const response of underWay) if (!response.headersSent) response.setHeader('Connection', 'close');
  };
  server.on('request', (_request, response) => {
    underWay.add(response);
    response.on('close', () => {
      underWay.delete(response);
      // Its connection is idle only now; kept alive, it would hold the stop up for a minute.
      if (stopping) setImmediate(() => server.closeIdleConnections());
    });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const here = [...underWay].filter((response) => response.req.socket === socket);
    const last = here.at(-1);
    if (!socket.writable || error.code === 'ECONNRESET') socket.destroy();
    else if (last !== undefined && here.every((response) => response.req.complete)) {
      // What came whole is being done, so it is answered with what becomes of it; what came behind it is nothing.
      if (ending.has(socket)) return;
      ending.add(socket);
      if (!last.headersSent) last.setHeader('Connection', 'close');
      last.on('close', () => socket.destroy());
    } else if (here.some((response) => response.headersSent)) socket.destroy();
    else socket.end(unreadableAnswer(error), () => socket.destroy());
  });
  return {
    name: 'http server',
    server,
    port() {
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : port;
    },
    async start() {
      await new Promise<void>((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) => {
          if (error.code === 'EADDRINUSE')
            error.message = `Port ${port} is taken: another process listens there. Set PORT to use another one.`;
          reject(error);
        });
        server.listen(port, host, resolve);
      });
    },
    drain: endConnections,
    async stop() {
      endConnections();
      if (!server.listening) return;
      stopping = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await closed;
    },
  };
}

/** The usual case: a service whose HTTP side is its route table. */
export function createHttpApp(options: {
  routes: readonly Route[];
  verifier: TokenVerifier | undefined;
  readiness: Readiness;
  logger: Logger;
  host: string;
  port: number;
}): HttpServer {
  const { routes, verifier, readiness, logger, host, port } = options;
  let draining = false;
  const app = createApp({ logger, readiness, isDraining: () => draining });
  // Whoever calls a service is the gateway: of X-Forwarded-For the entry that it has written counts, and none before it.
  app.set('trust proxy', 1);
  mountRoutes(app, routes, verifier);
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
