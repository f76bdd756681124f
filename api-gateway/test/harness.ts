// What the gateway's tests stand on: small services that do as they are told, and a gateway in front of them.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createClient, createTestKeys, type TestKeys } from '@glasshouse/shared/testing';
import { loadConfig } from '../src/config.ts';
import { createApiGateway } from '../src/service.ts';

export interface SeenRequest {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
}

export interface TestUpstream {
  url: string;
  /** What it got, in order of arrival; with the body once that has ended. */
  seen: SeenRequest[];
  /** How it answers; the request's body has been read before. */
  behave(answer: Behaviour): void;
  stop(): Promise<void>;
  /** Listens again on the same port. */
  restart(): Promise<void>;
}

type Behaviour = (seen: SeenRequest, response: ServerResponse, request: IncomingMessage) => void;

/** Answers with what it saw. */
export const echo: Behaviour = (seen, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(seen));
};

export const answer =
  (status: number, body: unknown = {}, headers: Record<string, string> = {}): Behaviour =>
  (_seen, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };

/** Keeps the request and says nothing. */
export const hang: Behaviour = () => {};

/** Breaks the connection once it has read the request. */
export const breakOff: Behaviour = (_seen, _response, request) => {
  request.socket.destroy();
};

export async function startUpstream(behaviour: Behaviour = echo): Promise<TestUpstream> {
  let behave = behaviour;
  const seen: SeenRequest[] = [];
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    const { method = '', url = '', headers } = request;
    const arrived: SeenRequest = { method, url, headers, body: '' };
    seen.push(arrived);
    request.on('error', () => {});
    request.on('data', (chunk) => {
      arrived.body += chunk;
    });
    request.on('end', () => behave(arrived, response, request));
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    behave(next) {
      behave = next;
    },
    async stop() {
      if (!server.listening) return;
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
    restart: () => listen(port),
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

export { createTestKeys, type TestKeys };
