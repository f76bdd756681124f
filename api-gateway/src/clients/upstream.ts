// A service as the gateway sees it: its copies in turn, each with a circuit breaker and a limit of requests in flight.
import type { Logger } from '@glasshouse/shared/logger';
import { createBreaker, observeBulkhead, observeHttpCall } from '@glasshouse/shared/resilience';
import type { Request, Response } from 'express';
import { upstreamTimeout, upstreamUnavailable } from '../http/problems.ts';
import { type Answered, ClientGone, type Look, type Question, UpstreamError, type UpstreamProxy } from './proxy.ts';

const MAX_TRIES = 2;

export interface Upstream {
  /**
   * Has the request answered by one of the copies. Another copy is tried only where nothing has been sent.
   * @param look sees the answer's head, and may withhold it where it is a 502, 503 or 504: then this throws as for a service that is gone
   * @throws AppError `unavailable` where no copy can be asked or the connection broke, HttpError 504 on a time-out, 413 on too large a body, 502 on too large an answer
   */
  forward(request: Request, response: Response, look?: Look): Promise<void>;
  /**
   * Asks a question of the gateway's own, with the same circuits and limits; a 4xx or 500 is an answer.
   * @throws the same as `forward`, and ClientGone
   */
  fetchJson(question: Question): Promise<Answered>;
  /** The state of each copy's circuit. */
  state(): string;
  close(): void;
}

type Call = (target: URL) => Promise<Answered>;

interface Instance {
  /** Whether its circuit lets a request through and it has room for one. */
  isFree(): boolean;
  /** Counts a request that found no copy with room for it, where this one's is taken. */
  countIfFull(): void;
  send(method: string, call: Call): Promise<Answered>;
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

function createInstance(url: string, { name, maxInFlight, breakerResetMs, logger }: Omit<Options, 'proxy'>): Instance {
  const target = new URL(url);
  let inFlight = 0;
  const breaker = createBreaker(
    `${name} ${url}`,
    (call: Call) =>
      call(target).catch((error) => {
        // The one request that a half-open circuit lets through proves nothing where the client spoiled it; opossum would close the circuit.
        if (!(error instanceof UpstreamError) && breaker.halfOpen) breaker.open();
        throw error;
      }),
    { resetMs: breakerResetMs, countsAsFailure: (error) => error instanceof UpstreamError },
  );
  breaker.on('open', () => logger.warn('a circuit opened', { upstream: name, url }));
  breaker.on('close', () => logger.info('a circuit closed', { upstream: name, url }));

  const isFull = () => inFlight >= maxInFlight;
  const countRefusal = observeBulkhead(`${name} ${url}`, maxInFlight, () => inFlight);

  return {
    isFree: () => (breaker.closed || breaker.pendingClose) && !isFull(),
    countIfFull: () => {
      if (isFull()) countRefusal();
    },
    async send(method, call) {
      const release = () => {
        inFlight -= 1;
      };
      inFlight += 1;
      try {
        const answered = await breaker.fire((target) => observeHttpCall(method, target, () => call(target)));
        if (answered.over === undefined) release();
        else answered.over.then(release);
        return answered;
      } catch (error) {
        release();
        throw error;
      }
    },
    state: () => (breaker.closed ? 'closed' : breaker.halfOpen ? 'half-open' : 'open'),
    close: () => breaker.shutdown(),
  };
}

/** No byte may reach two copies: only where no connection stood, and where the call isn't safe, only where it was refused outright. */
function mayGoElsewhere(error: unknown, method: string): boolean {
  if (!(error instanceof UpstreamError) || error.stage !== 'connecting') return false;
  return method === 'GET' || method === 'HEAD' || error.code === 'ECONNREFUSED';
}

/** @param urls base URLs, one for each copy */
export function createUpstream(options: Options & { urls: readonly string[] }): Upstream {
  const { name, urls, proxy } = options;
  const instances = urls.map((url) => createInstance(url, options));
  let turn = 0;

  const nextFree = (except: Instance | undefined): Instance | undefined => {
    for (let seen = 0; seen < instances.length; seen += 1) {
      const instance = instances[turn++ % instances.length];
      if (instance !== except && instance?.isFree()) return instance;
    }
    return undefined;
  };
  const askOneCopy = async (method: string, call: Call, isGone: () => boolean): Promise<Answered> => {
    let failure: unknown;
    let last: Instance | undefined;
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      if (isGone()) throw new ClientGone('the client went away');
      last = nextFree(last);
      if (last === undefined) break;
      try {
        return await last.send(method, call);
      } catch (error) {
        failure = error;
        if (!mayGoElsewhere(error, method)) break;
      }
    }
    if (failure === undefined) {
      for (const instance of instances) instance.countIfFull();
      throw upstreamUnavailable(name);
    }
    if (!(failure instanceof UpstreamError)) throw failure;
    if (failure.stage === 'waiting' && failure.code === 'ETIMEDOUT') throw upstreamTimeout(name);
    if (failure.stage === 'answered' && failure.status !== undefined) return { status: failure.status };
    throw upstreamUnavailable(name, failure);
  };

  return {
    async forward(request, response, look) {
      // What the first try listens to stays.
      response.setMaxListeners(30);
      await askOneCopy(
        request.method,
        (target) => proxy.exchange(request, response, target, look),
        () => response.destroyed,
      );
    },
    fetchJson(question) {
      const endsAt = performance.now() + question.timeoutMs;
      return askOneCopy(
        'GET',
        (target) => proxy.fetchJson(target, { ...question, timeoutMs: Math.max(1, endsAt - performance.now()) }),
        () => question.signal.aborted,
      );
    },
    state: () => instances.map((instance) => instance.state()).join(', '),
    close() {
      for (const instance of instances) instance.close();
    },
  };
}
