// What the gateway's tests stand on: small services that do as they are told, and a gateway in front of them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
  request as startRequest,
} from 'node:http';
import { buffer, text } from 'node:stream/consumers';
import { createClient, createTestKeys, freePort, type Reply, type TestKeys, waitFor } from '@glasshouse/shared/testing';
import { loadConfig } from '../src/config.ts';
import { type UpstreamName, upstreamNames } from '../src/http/routes.ts';
import { createApiGateway } from '../src/service.ts';

export interface SeenRequest {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface TestUpstream {
  url: string;
  /** What it got through the gateway, in order of arrival; with the body once that has ended. */
  seen: SeenRequest[];
  /** How often the gateway itself asked for the keys. */
  keyFetches(): number;
  /** How it answers; the request's body has been read before. */
  behave(answer: Behaviour): void;
  stop(): Promise<void>;
  /** Listens again on the same port. */
  restart(): Promise<void>;
}

export type Behaviour = (seen: SeenRequest, response: ServerResponse, request: IncomingMessage) => void;

/** Answers with what it saw. */
export const echo: Behaviour = (seen, response) => {
  const body = JSON.stringify(seen);
  response.setHeader('content-type', 'application/json');
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
};

export const answer =
  (status: number, body: unknown = {}, headers: Record<string, string> = {}): Behaviour =>
  (_seen, response) => {
    const text = JSON.stringify(body);
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...headers,
    });
    response.end(text);
  };

/** Keeps the request and says nothing. */
export const hang: Behaviour = () => {};

/** Breaks the connection once it has read the request. */
export const breakOff: Behaviour = (_seen, _response, request) => {
  request.socket.destroy();
};

/** @param jwks what it serves as its public keys, if it has any */
export async function startUpstream(behaviour: Behaviour = echo, jwks?: unknown): Promise<TestUpstream> {
  let behave = behaviour;
  const seen: SeenRequest[] = [];
  let keyFetches = 0;
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    const { method = '', url = '', headers } = request;
    response.setHeader('x-test-double', 'true');
    const arrived: SeenRequest = { method, url, headers, body: '' };
    if (headers['x-forwarded-for'] === undefined) {
      keyFetches += 1;
      answer(jwks === undefined ? 404 : 200, jwks)(arrived, response, request);
      return;
    }
    seen.push(arrived);
    request.on('error', () => {});
    request.on('data', (chunk) => {
      arrived.body += chunk;
    });
    request.on('end', () => {
      // Until it is told how to behave, it passes its keys on like the real one.
      const givesKeys = jwks !== undefined && behave === behaviour && url === '/.well-known/jwks.json';
      (givesKeys ? answer(200, jwks) : behave)(arrived, response, request);
    });
  });
  const port = await freePort();
  const listen = async () => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await listen();
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    keyFetches: () => keyFetches,
    behave(next) {
      behave = next;
    },
    async stop() {
      if (!server.listening) return;
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
    restart: listen,
  };
}

export interface TestGateway {
  url: string;
  port: number;
  call: ReturnType<typeof createClient>;
  stop(): Promise<void>;
}

/** A gateway with no limits, unless `settings` sets some; services that aren't named can't be reached. */
export async function startGateway(settings: Record<string, string>): Promise<TestGateway> {
  const nowhere = 'http://127.0.0.1:1';
  const { service, http } = createApiGateway(
    loadConfig({
      NODE_ENV: 'test',
      LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'error',
      PORT: '0',
      RATE_LIMIT_PER_MINUTE: '0',
      AUTH_RATE_LIMIT_PER_MINUTE: '0',
      USER_SERVICE_URL: nowhere,
      PRODUCT_SERVICE_URL: nowhere,
      ORDER_SERVICE_URL: nowhere,
      PAYMENT_SERVICE_URL: nowhere,
      NOTIFICATION_SERVICE_URL: nowhere,
      ...settings,
    }),
  );
  await service.start();
  const url = `http://127.0.0.1:${http.port()}`;
  return { url, port: http.port(), call: createClient(url), stop: () => service.stop() };
}

export interface TestPlatform {
  keys: TestKeys;
  upstreams: Record<UpstreamName, TestUpstream>;
  gateway: TestGateway;
  stop(): Promise<void>;
}

/** A gateway before one echoing copy of each service; user-service has the keys. */
export async function startPlatform(settings: Record<string, string> = {}): Promise<TestPlatform> {
  const keys = await createTestKeys();
  const jwks: unknown = await (await fetch(`${keys.url}/.well-known/jwks.json`)).json();
  const started = await Promise.all(
    upstreamNames.map(async (name) => [name, await startUpstream(echo, jwks)] as const),
  );
  const urls = started.map(([name, { url }]) => [`${name.toUpperCase().replace('-', '_')}_URL`, url] as const);
  const gateway = await startGateway({ ...Object.fromEntries(urls), ...settings });
  await waitFor('the gateway is ready', async () => (await gateway.call('GET', '/ready')).status === 200);
  return {
    keys,
    upstreams: Object.fromEntries(started) as Record<UpstreamName, TestUpstream>,
    gateway,
    async stop() {
      await gateway.stop();
      await Promise.all(started.map(([, upstream]) => upstream.stop()));
      await keys.stop();
    },
  };
}

/** A request with exactly these headers and this target, on a connection of its own. */
export function rawCall(
  port: number,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body: string | Buffer = '',
): Promise<{ status: number; headers: IncomingHttpHeaders; rawHeaders: string[]; body: string }> {
  return new Promise((resolve, reject) => {
    const request = startRequest({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      const { statusCode: status = 0, headers, rawHeaders } = response;
      text(response).then((body) => resolve({ status, headers, rawHeaders, body }), reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** A GET whose answer stays as it came over the wire. */
export function rawBytes(
  port: number,
  path: string,
  headers: OutgoingHttpHeaders,
): Promise<{ headers: IncomingHttpHeaders; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const request = startRequest({ host: '127.0.0.1', port, path, headers, agent: false }, (response) => {
      buffer(response).then((body) => resolve({ headers: response.headers, body }), reject);
    });
    request.on('error', reject);
    request.end();
  });
}

/** The form of every error (RFC 9457). */
export function assertProblem(reply: Reply, status: number, code: string, path: string): void {
  assert.equal(reply.status, status, JSON.stringify(reply.body));
  assert.match(reply.headers.get('content-type') ?? '', /^application\/problem\+json/);
  const { type, title, traceId, detail, instance } = reply.body;
  assert.deepEqual({ status: reply.body.status, code: reply.body.code, instance }, { status, code, instance: path });
  for (const text of [type, title, detail]) assert.equal(typeof text, 'string');
  assert.match(traceId, /^[0-9a-f]{32}$/);
  if (status === 503) assert.match(reply.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
}
