// An order with all that belongs to it, in one answer: the order first, then the rest side by side; a part that can't be had is named.
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@glasshouse/shared/errors';
import { HttpError } from '@glasshouse/shared/http';
import type { Logger } from '@glasshouse/shared/logger';
import type { RequestHandler } from 'express';
import pLimit, { type LimitFunction } from 'p-limit';
import type { z } from 'zod';
import { type Answered, ClientGone } from '../clients/proxy.ts';
import type { Upstream } from '../clients/upstream.ts';
import { headersForInside, rewriteHeaders } from './forwarded-headers.ts';
import { answerMalformed, upstreamTimeout } from './problems.ts';
import type { UpstreamName } from './routes.ts';
import { orderIn, overviewParts, pageIn, productIn } from './schemas.ts';

/** An order has up to 100 products, and product-service no call for many: so many of one order are asked for at once. */
const PRODUCTS_AT_ONCE = 10;
/** And so much of the room that product-service has for requests may be taken by all overviews together: the catalogue has to have some. */
const LARGEST_SHARE = 1 / 4;
/** Mails of one order are few: one for each thing that happened to it. */
const MAX_MAILS = 100;

/** Asks the service that a part is of. */
type Ask = (path: string) => Promise<Answered>;

/** A problem goes to the client as the service meant it. */
function refusalOf({ status, body }: Answered): HttpError {
  const { code, detail } = (body ?? {}) as { code?: unknown; detail?: unknown };
  if (typeof code !== 'string' || typeof detail !== 'string') return answerMalformed();
  return new HttpError(status, code, detail);
}

/** @throws HttpError with the service's refusal, 502 where what it says is not what it should be */
function read<S extends z.ZodType>(answered: Answered, schema: S): z.output<S> {
  if (answered.status !== 200) throw refusalOf(answered);
  const result = schema.safeParse(answered.body);
  if (!result.success) throw answerMalformed();
  return result.data;
}

/** Those of the products that still exist, in the order of `ids`: all of them, or none and an error. */
async function getProducts(ids: readonly string[], ask: Ask, ofAll: LimitFunction) {
  const ofOrder = pLimit(PRODUCTS_AT_ONCE);
  const found = await ofOrder.map(ids, async (id) => {
    const answered = await ofAll(ask, `/v1/products/${id}`);
    return answered.status === 404 ? undefined : read(answered, productIn);
  });
  return found.filter((product) => product !== undefined);
}

/**
 * `GET /api/v1/orders/:id/overview`. The services are asked with the caller's own token, so each decides what the caller may see.
 * @param timeoutMs for each question; the order is one, and without it there is no answer
 * @param partTimeoutMs how long the answer waits for the other parts. Then a part is left out, and its questions are given up: that they took
 *   longer than an overview can wait is no fault of the service, and no circuit hears of it
 * @param maxInFlight how many requests product-service has room for
 */
export function createOverview(options: {
  upstreams: Record<UpstreamName, Upstream>;
  timeoutMs: number;
  partTimeoutMs: number;
  maxInFlight: number;
  logger: Logger;
}): RequestHandler {
  const { upstreams, timeoutMs, partTimeoutMs, maxInFlight, logger } = options;
  const productsOfAll = pLimit(Math.max(1, Math.floor(maxInFlight * LARGEST_SHARE)));
  return async (request, response) => {
    rewriteHeaders(request);
    const headers = headersForInside(request);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const askOf = (upstream: UpstreamName, path: string, signal: AbortSignal) =>
      upstreams[upstream].fetchJson({ path, headers, timeoutMs, signal });
    const missing = new Set<string>();
    const part = async <T, F>(
      name: (typeof overviewParts)[number],
      upstream: UpstreamName,
      find: (ask: Ask) => Promise<T>,
      instead: F,
    ): Promise<T | F> => {
      const ended = new AbortController();
      const signal = AbortSignal.any([gone.signal, ended.signal]);
      const isTooLate = delay(partTimeoutMs, undefined, { signal }).then(() => {
        throw upstreamTimeout(upstream);
      });
      try {
        return await Promise.race([find((path) => askOf(upstream, path, signal)), isTooLate]);
      } catch (error) {
        if (gone.signal.aborted) throw new ClientGone('the client went away');
        if (!(error instanceof AppError || error instanceof HttpError)) throw error;
        logger.warn('a part of an overview could not be had', { part: name, error });
        missing.add(name);
        return instead;
      } finally {
        ended.abort();
      }
    };

    try {
      const id = encodeURIComponent(String(request.params.id));
      const order = read(await askOf('order-service', `/v1/orders/${id}`, gone.signal), orderIn);
      const ofOrder = (list: string, limit: number) => async (ask: Ask) =>
        read(await ask(`/v1/${list}?orderId=${order.id}&limit=${limit}`), pageIn).items;
      const productIds = order.items.map(({ productId }) => productId);
      const [payments, products, notifications] = await Promise.all([
        part('payment', 'payment-service', ofOrder('payments', 1), []),
        part('products', 'product-service', (ask) => getProducts(productIds, ask, productsOfAll), []),
        part('notifications', 'notification-service', ofOrder('notifications', MAX_MAILS), []),
      ]);
      const unavailable = overviewParts.filter((name) => missing.has(name));
      response
        .set('Cache-Control', 'no-store')
        .json({ order, payment: payments[0] ?? null, products, notifications, unavailable });
    } catch (error) {
      if (!(error instanceof ClientGone)) throw error;
    }
  };
}
