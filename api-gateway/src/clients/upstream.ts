// A service as the gateway sees it: its copies in turn, each with a circuit breaker and a limit of requests in flight.
import type { Logger } from '@glasshouse/shared/logger';
import { createBreaker } from '@glasshouse/shared/resilience';
import { durationHistogram } from '@glasshouse/shared/telemetry';
import type { Request, Response } from 'express';
import { upstreamTimeout, upstreamUnavailable } from '../http/problems.ts';
import { ClientGone, UpstreamError, type UpstreamProxy } from './proxy.ts';

const MAX_TRIES = 2;
const recordExchange = durationHistogram('http.client.request.duration', 'Duration of HTTP client requests.');

export interface Upstream {
  /**
   * Has the request answered by one of the copies. Another copy is tried only where nothing has been sent.
   * @throws AppError `unavailable` where no copy can be asked or the connection broke, HttpError 504 on a time-out, 413 on too large a body
   */
  forward(request: Request, response: Response): Promise<void>;
  /** The state of each copy's circuit. */
  state(): string;
  close(): void;
}

interface Instance {
  /** Whether its circuit lets a request through and it has room for one. */
  isFree(): boolean;
  send(request: Request, response: Response): Promise<void>;
  state(): 'closed' | 'half-open' | 'open';
  close(): void;
}

interface Options {
  name: string;
  proxy: UpstreamProxy;
  maxInFlight: number;
  breakerResetMs: number;
  logger: Logger;
}

function createInstance(url: string, { name, proxy, maxInFlight, breakerResetMs, logger }: Options): Instance {
  const target = new URL(url);
  const inFlight = new Set<Response>();
  const breaker = createBreaker(
    `${name} ${url}`,
    (request: Request, response: Response) =>
      proxy.exchange(request, response, target).catch((error) => {
        // The one request that a half-open circuit lets through proves nothing where the client spoiled it; opossum would close the circuit.
        if (!(error instanceof UpstreamError) && breaker.halfOpen) breaker.open();
        throw error;
      }),
    { resetMs: breakerResetMs, countsAsFailure: (error) => error instanceof UpstreamError },
  );
  breaker.on('open', () => logger.warn('a circuit opened', { upstream: name, url }));
  breaker.on('close', () => logger.info('a circuit closed', { upstream: name, url }));

  return {
    isFree: () => (breaker.closed || breaker.pendingClose) && inFlight.size < maxInFlight,
    async send(request, response) {
      const startedAt = performance.now();
      const record = (outcome: Record<string, string | number>) =>
        recordExchange((performance.now() - startedAt) / 1000, {
          'http.request.method': request.method,
          'server.address': target.host,
          ...outcome,
        });
      inFlight.add(response);
      response.once('close', () => inFlight.delete(response));
      try {
        await breaker.fire(request, response);
        record({ 'http.response.status_code': response.statusCode });
      } catch (error) {
        const isAnswered = error instanceof UpstreamError && error.stage === 'answered';
        if (!isAnswered) inFlight.delete(response);
        record(
          isAnswered
            ? { 'http.response.status_code': response.statusCode }
            : { 'error.type': (error as NodeJS.ErrnoException).code ?? (error as Error).name },
        );
        throw error;
      }
    },
    state: () => (breaker.closed ? 'closed' : breaker.halfOpen ? 'half-open' : 'open'),
    close: () => breaker.shutdown(),
  };
}

/** No byte may reach two copies: only where no connection stood, and where the call isn't safe, only where it was refused outright. */
function mayGoElsewhere(error: unknown, request: Request): boolean {
  if (!(error instanceof UpstreamError) || error.stage !== 'connecting') return false;
  return request.method === 'GET' || request.method === 'HEAD' || error.code === 'ECONNREFUSED';
}

/** @param urls base URLs, one for each copy */
export function createUpstream(options: Options & { urls: readonly string[] }): Upstream {
  const { name, urls } = options;
  const instances = urls.map((url) => createInstance(url, options));
  let turn = 0;

  const nextFree = (except: Instance | undefined): Instance | undefined => {
    for (let seen = 0; seen < instances.length; seen += 1) {
      const instance = instances[turn++ % instances.length];
      if (instance !== except && instance?.isFree()) return instance;
    }
    return undefined;
  };
  return {
    async forward(request, response) {
      let failure: unknown;
      let last: Instance | undefined;
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        if (response.destroyed) throw new ClientGone('the client went away');
        last = nextFree(last);
        if (last === undefined) break;
        try {
          return await last.send(request, response);
        } catch (error) {
          failure = error;
          if (!mayGoElsewhere(error, request)) break;
          // What the first try listens to stays.
          response.setMaxListeners(20);
        }
      }
      if (failure === undefined) throw upstreamUnavailable(name);
      if (!(failure instanceof UpstreamError)) throw failure;
      if (failure.stage === 'answered') return;
      if (failure.stage === 'waiting' && failure.code === 'ETIMEDOUT') throw upstreamTimeout(name);
      throw upstreamUnavailable(name, failure);
    },
    state: () => instances.map((instance) => instance.state()).join(', '),
    close() {
      for (const instance of instances) instance.close();
    },
  };
}
