// One exchange with one copy of a service. A client's request goes through http-proxy-middleware: the answer goes to the client, and a promise
// tells how the service did. What the gateway asks for itself comes back as JSON, over the same connections.
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { urlToHttpOptions } from 'node:url';
import { bodyTooLarge, HttpError, MAX_BODY_BYTES, requestMalformed } from '@glasshouse/shared/http';
import { DRAIN_MS } from '@glasshouse/shared/process';
import { currentCause } from '@glasshouse/shared/telemetry';
import type { Request, Response } from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';
import { hopByHopHeaders } from '../http/forwarded-headers.ts';
import { answerMalformed, answerTooLarge } from '../http/problems.ts';

/**
 * Below the services' keepAliveTimeout, and below the time for which they take requests once they are told to stop: the side that closes an
 * idle connection must be the one that would use it, or a request may go out on it while it closes.
 */
const IDLE_CONNECTION_MS = 0.8 * DRAIN_MS;
const CONNECT_TIMEOUT_MS = 2_000;

/** The service's fault. The client's faults are other errors. */
export class UpstreamError extends Error {
  override name = 'UpstreamError';
  /**
   * - `connecting`: no byte of the request has left
   * - `waiting`: the service may have got the request, or a part of it
   * - `answered`: with 502, 503 or 504, which the client gets as it is
   * - `withheld`: with one of these, which the client does not get
   */
  readonly stage: 'connecting' | 'waiting' | 'answered' | 'withheld';
  /** The system's code. */
  readonly code: string | undefined;
  /** The answer's, if there was one. */
  readonly status: number | undefined;

  constructor(stage: UpstreamError['stage'], cause: NodeJS.ErrnoException, status?: number) {
    super(cause.message, { cause });
    this.stage = stage;
    this.code = cause.code;
    this.status = status;
  }
}

/** The client went away before there was an answer. */
export class ClientGone extends Error {
  override name = 'ClientGone';
}

/** Sees the head of an answer and may listen to its body; tells whether it is to go to the client. */
export type Look = (answer: http.IncomingMessage) => boolean;

export interface Answered {
  status: number;
  /** Where it was read: what the JSON says. */
  body?: unknown;
  /** Settles when the service has no more to do for it; over already where it is missing. */
  over?: Promise<void>;
}

export interface Question {
  /** Path and query, without `/api`. */
  path: string;
  headers: http.OutgoingHttpHeaders;
  /** From the start to the end of the answer. */
  timeoutMs: number;
  /** Nobody waits any longer. */
  signal: AbortSignal;
}

export interface UpstreamProxy {
  /**
   * Passes a request on to `target`. Resolves when the head of the answer is there; the rest goes its way.
   * @param look may withhold a 502, 503 or 504
   * @throws UpstreamError, ClientGone, HttpError 413 where a body of unknown length grows too large, 502 where the answer is too large
   */
  exchange(request: Request, response: Response, target: URL, look?: Look): Promise<Answered>;
  /**
   * Asks for JSON.
   * @throws UpstreamError also on 502, 503 and 504, ClientGone when `signal` says so, HttpError 502 where the answer is too large or no JSON
   */
  fetchJson(target: URL, question: Question): Promise<Answered>;
  /** Closes the idle connections. */
  close(): void;
}

interface Exchange {
  target: URL;
  isConnected: boolean;
  timer: NodeJS.Timeout | undefined;
  look: Look | undefined;
  succeed(status: number): void;
  fail(error: Error): void;
}

interface Locals {
  exchange?: Exchange;
}
/** What a request is part of now: beside it, and not in a map, whose every look-up each collection of garbage would have to follow. */
const exchangeOf = (request: Request) => (request.res?.locals as Locals | undefined)?.exchange;

const isFailure = (status: number) => status >= 502 && status <= 504;
const failureOf = (stage: UpstreamError['stage'], status: number) =>
  new UpstreamError(stage, new Error(`the service answered ${status}`), status);
/** What Node finds in a request before it asks for a connection: the client sent it so, and the service has nothing to do with it. */
const unsendable = new Set([
  'ERR_HTTP_INVALID_HEADER_VALUE',
  'ERR_INVALID_CHAR',
  'ERR_INVALID_HTTP_TOKEN',
  'ERR_UNESCAPED_CHARACTERS',
]);

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

/** What a client gets of an answer's headers: neither those of the inner connection, nor who may read it, nor an id that is not ours. */
export function endToEndHeaders(headers: http.IncomingHttpHeaders): [name: string, value: string | string[]][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ||
    name === 'x-request-id' ||
    name === 'transfer-encoding' ||
    name.startsWith('access-control-') ||
    hopByHopHeaders.has(name)
      ? []
      : [[name, value] as [string, string | string[]]],
  );
}

/** The path inside: the same without `/api`, byte for byte. A second try finds it stripped. */
export function innerPath(request: Request): string {
  const query = request.url.indexOf('?');
  return request.path.replace(/^\/api(?=\/)/, '') + (query < 0 ? '' : request.url.slice(query));
}

/** @throws HttpError 502 where the body is longer than `maxBytes` */
async function readBody(answer: http.IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw answerTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw answerMalformed();
  }
}

/**
 * @param timeoutMs until the answer begins, once the request is sent, and again until it ends
 * @param maxAnswerBytes of an answer's body; a longer one is a 502, or is cut off where its length was not told
 */
export function createUpstreamProxy(options: { timeoutMs: number; maxAnswerBytes: number }): UpstreamProxy {
  const { timeoutMs, maxAnswerBytes } = options;
  const agentOptions = { keepAlive: true, timeout: IDLE_CONNECTION_MS };
  const plain = connectFirst(new http.Agent(agentOptions), 'connect');
  const secure = connectFirst(new https.Agent(agentOptions), 'secureConnect');

  const onRequest = (proxyReq: http.ClientRequest, request: Request) => {
    const exchange = exchangeOf(request);
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
      exchange.fail(bodyTooLarge());
      proxyReq.destroy();
    });
  };

  const onAnswer = (answer: http.IncomingMessage, request: Request, response: Response) => {
    const exchange = exchangeOf(request);
    if (exchange === undefined) return;
    exchange.timer?.refresh();
    const status = answer.statusCode ?? 502;
    const length = answer.headers['content-length'];
    // Left unread, it is dropped with its connection once the client has been answered.
    if (request.method !== 'HEAD' && Number(length ?? 0) > maxAnswerBytes) return exchange.fail(answerTooLarge());
    if (exchange.look?.(answer) === false) {
      answer.resume();
      return exchange.fail(failureOf('withheld', status));
    }
    if (length === undefined) {
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswerBytes) response.destroy();
      });
    }
    response.status(status);
    for (const [name, value] of endToEndHeaders(answer.headers))
      if (name === 'vary') response.vary(String(value));
      else response.setHeader(name, value);
    answer.pipe(response);
    if (isFailure(status)) exchange.fail(failureOf('answered', status));
    else exchange.succeed(status);
  };

  const onError = (error: NodeJS.ErrnoException, request: Request | undefined) => {
    const exchange = request && exchangeOf(request);
    if (unsendable.has(error.code ?? '')) exchange?.fail(requestMalformed());
    else exchange?.fail(new UpstreamError(exchange.isConnected ? 'waiting' : 'connecting', error));
  };

  const middleware = createProxyMiddleware<Request, Response>({
    changeOrigin: true,
    // The answer's headers are copied here: the library would pass those of the connection on as well.
    selfHandleResponse: true,
    router: (request, _response, options) => {
      const target = exchangeOf(request)?.target ?? '';
      // `options` is this request's own copy.
      options.agent = target instanceof URL && target.protocol === 'https:' ? secure : plain;
      return target;
    },
    pathRewrite: (_path, request) => innerPath(request),
    // The library's own plugins make a log line of every answer.
    ejectPlugins: true,
    plugins: [
      (proxy) => {
        proxy.on('proxyReq', onRequest);
        proxy.on('proxyRes', onAnswer);
        proxy.on('error', onError);
      },
    ],
  });

  return {
    exchange: (request, response, target, look) =>
      new Promise((resolve, reject) => {
        const over = new Promise<void>((end) => response.once('close', end));
        const exchange: Exchange = {
          target,
          isConnected: false,
          timer: undefined,
          look,
          succeed: (status) => resolve({ status, over }),
          fail: reject,
        };
        (response.locals as Locals).exchange = exchange;
        request.headers.traceparent = currentCause().traceparent;
        response.once('close', () => {
          clearTimeout(exchange.timer);
          if (!response.writableFinished) reject(new ClientGone('the client went away'));
        });
        middleware(request, response, reject);
      }),
    fetchJson: (target, { path, headers, timeoutMs, signal }) =>
      new Promise<Answered>((resolve, reject) => {
        const isSecure = target.protocol === 'https:';
        let isConnected = false;
        const outgoing = (isSecure ? https : http).request({
          ...urlToHttpOptions(target),
          agent: isSecure ? secure : plain,
          path: target.pathname.replace(/\/$/, '') + path,
          headers: { ...headers, traceparent: currentCause().traceparent },
        });
        const fail = (error: Error) => {
          const isOurs = error instanceof HttpError || error instanceof UpstreamError || error instanceof ClientGone;
          reject(isOurs ? error : new UpstreamError(isConnected ? 'waiting' : 'connecting', error));
          outgoing.destroy();
        };
        const leave = () => fail(new ClientGone('nobody waits for the answer'));
        // Fails by itself: a request that still waits for its connection tells nothing of its end.
        const timer = setTimeout(() => fail(timedOut('no answer in time')), timeoutMs);
        signal.addEventListener('abort', leave, { once: true });
        outgoing.once('close', () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', leave);
        });
        outgoing.once('socket', () => {
          isConnected = true;
        });
        outgoing.on('error', fail);
        outgoing.once('response', (answer) => {
          const status = answer.statusCode ?? 502;
          readBody(answer, maxAnswerBytes)
            .then((text) => {
              if (isFailure(status)) throw failureOf('withheld', status);
              resolve({ status, body: parseJson(text) });
            })
            .catch(fail);
        });
        if (signal.aborted) leave();
        else outgoing.end();
      }),
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}
