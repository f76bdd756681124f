// One exchange with one copy of a service, through http-proxy-middleware: the answer goes to the client, and a promise tells how the service did.
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { HttpError, MAX_BODY_BYTES } from '@glasshouse/shared/http';
import type { Request, Response } from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { hopByHopHeaders } from '../http/forwarded-headers.ts';

/** Below the services' keepAliveTimeout (65 s): the side that closes an idle connection must be the one that would use it. */
const IDLE_CONNECTION_MS = 30_000;
const CONNECT_TIMEOUT_MS = 2_000;

/** The service's fault. The client's faults are other errors. */
export class UpstreamError extends Error {
  override name = 'UpstreamError';
  /**
   * - `connecting`: no byte of the request has left
   * - `waiting`: the service may have got the request, or a part of it
   * - `answered`: with 502, 503 or 504, which the client gets as it is
   */
  readonly stage: 'connecting' | 'waiting' | 'answered';
  /** The system's code. */
  readonly code: string | undefined;

  constructor(stage: UpstreamError['stage'], cause: NodeJS.ErrnoException) {
    super(cause.message, { cause });
    this.stage = stage;
    this.code = cause.code;
  }
}

/** The client went away before there was an answer. */
export class ClientGone extends Error {
  override name = 'ClientGone';
}

export interface UpstreamProxy {
  /**
   * Passes a request on to `target`. Resolves when the head of the answer is there; the rest goes its way.
   * @throws UpstreamError, ClientGone, or HttpError 413 where a body of unknown length grows too large
   */
  exchange(request: Request, response: Response, target: URL): Promise<void>;
  /** Closes the idle connections. */
  close(): void;
}

interface Exchange {
  target: URL;
  isConnected: boolean;
  timer: NodeJS.Timeout | undefined;
  succeed(): void;
  fail(error: Error): void;
}

const timedOut = (message: string) => Object.assign(new Error(message), { code: 'ETIMEDOUT' });

/**
 * Makes an agent hand out a connection only once it stands. So a request whose connection fails has sent nothing,
 * and its body is still unread: it can go to another copy.
 */
function connectFirst<A extends http.Agent>(agent: A, connected: 'connect' | 'secureConnect'): A {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = connect(options) as Duplex;
    const timer = setTimeout(() => socket.destroy(timedOut('no connection')), CONNECT_TIMEOUT_MS);
    const onError = (error: Error) => {
      clearTimeout(timer);
      callback?.(error, socket);
    };
    socket.once('error', onError);
    socket.once(connected, () => {
      clearTimeout(timer);
      socket.off('error', onError);
      callback?.(null, socket);
    });
    return undefined;
  };
  return agent;
}

/** The path inside: the same without `/api`, byte for byte. A second try finds it stripped. */
function innerPath(request: Request): string {
  const query = request.url.indexOf('?');
  return request.path.replace(/^\/api(?=\/)/, '') + (query < 0 ? '' : request.url.slice(query));
}

/** @param timeoutMs until the answer begins, once the request is sent, and again until it ends */
export function createUpstreamProxy({ timeoutMs }: { timeoutMs: number }): UpstreamProxy {
  const agentOptions = { keepAlive: true, timeout: IDLE_CONNECTION_MS };
  const plain = connectFirst(new http.Agent(agentOptions), 'connect');
  const secure = connectFirst(new https.Agent(agentOptions), 'secureConnect');
  const exchanges = new WeakMap<http.IncomingMessage, Exchange>();

  const onRequest = (proxyReq: http.ClientRequest, request: Request) => {
    const exchange = exchanges.get(request);
    if (exchange === undefined) return;
    exchange.isConnected = true;
    // The clock runs from the end of the request: a slow client is not a slow service.
    const startClock = () => {
      exchange.timer = setTimeout(() => proxyReq.destroy(timedOut('no answer in time')), timeoutMs);
    };
    if (request.readableEnded) startClock();
    else request.once('end', startClock);
    if (request.headers['transfer-encoding'] === undefined) return;
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) return;
      exchange.fail(new HttpError(413, 'body.too-large', 'The body is larger than 100 kB.'));
      proxyReq.destroy();
    });
  };

  const onAnswer = (answer: http.IncomingMessage, request: Request, response: Response) => {
    const exchange = exchanges.get(request);
    if (exchange === undefined) return;
    exchange.timer?.refresh();
    const status = answer.statusCode ?? 502;
    response.status(status);
    for (const [name, value] of Object.entries(answer.headers))
      if (value !== undefined && name !== 'x-request-id' && name !== 'transfer-encoding' && !hopByHopHeaders.has(name))
        response.setHeader(name, value);
    answer.pipe(response);
    if (status >= 502 && status <= 504)
      exchange.fail(new UpstreamError('answered', new Error(`the service answered ${status}`)));
    else exchange.succeed();
  };

  const middleware = createProxyMiddleware<Request, Response>({
    changeOrigin: true,
    // The answer's headers are copied here: the library would pass those of the connection on as well.
    selfHandleResponse: true,
    router: (request, _response, options) => {
      const target = exchanges.get(request)?.target ?? '';
      // `options` is this request's own copy.
      options.agent = target instanceof URL && target.protocol === 'https:' ? secure : plain;
      return target;
    },
    pathRewrite: (_path, request) => innerPath(request),
    on: {
      proxyReq: onRequest,
      proxyRes: (answer, request, response) => onAnswer(answer, request, response),
      error: (error, request) => {
        const exchange = exchanges.get(request);
        exchange?.fail(new UpstreamError(exchange.isConnected ? 'waiting' : 'connecting', error));
      },
    },
  });

  return {
    exchange: (request, response, target) =>
      new Promise((resolve, reject) => {
        const exchange: Exchange = { target, isConnected: false, timer: undefined, succeed: resolve, fail: reject };
        exchanges.set(request, exchange);
        response.once('close', () => {
          clearTimeout(exchange.timer);
          if (!response.writableFinished) reject(new ClientGone('the client went away'));
        });
        middleware(request, response, reject);
      }),
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}
