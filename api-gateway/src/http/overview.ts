// An order with all that belongs to it, in one answer: the order first, then the rest side by side; a part that can't be had is named.
import { AppError } from '@glasshouse/shared/errors';
import { HttpError } from '@glasshouse/shared/http';
import type { Logger } from '@glasshouse/shared/logger';
import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { type Answered, ClientGone } from '../clients/proxy.ts';
import type { Upstream } from '../clients/upstream.ts';
import { headersForInside, rewriteHeaders } from './forwarded-headers.ts';
import { answerMalformed, upstreamTimeout } from './problems.ts';
import type { UpstreamName } from './routes.ts';
import { orderIn, overviewParts, pageIn, productIn } from './schemas.ts';

/** An order has up to 100 products, and product-service no call for many: so many of one order are asked for at once. */
const PRODUCTS_AT_ONCE = 10;
/** Mails of one order are few: one for each thing that happened to it. */
const MAX_MAILS = 100;

type Ask = (upstream: UpstreamName, path: string, timeoutMs: number, signal?: AbortSignal) => Promise<Answered>;

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
async function getProducts(ids: readonly string[], timeoutMs: number, ask: Ask) {
  const endsAt = performance.now() + timeoutMs;
  const failed = new AbortController();
  const found: (z.output<typeof productIn> | undefined)[] = [];
  const left = ids.entries();
  const takeTurns = async () => {
    for (const [index, id] of left) {
      const remainingMs = endsAt - performance.now();
      if (remainingMs <= 0) throw upstreamTimeout('product-service');
      const answered = await ask('product-service', `/v1/products/${id}`, remainingMs, failed.signal);
      found[index] = answered.status === 404 ? undefined : read(answered, productIn);
    }
  };
  try {
    await Promise.all(Array.from({ length: PRODUCTS_AT_ONCE }, takeTurns));
  } finally {
    failed.abort();
  }
  return found.filter((product) => product !== undefined);
}

/**
 * `GET /api/v1/orders/:id/overview`. The services are asked with the caller's own token, so each decides what the caller may see.
 * @param orderTimeoutMs for the order, without which there is no answer
 * @param partTimeoutMs for each of the other parts
 */
export function createOverview(options: {
  upstreams: Record<UpstreamName, Upstream>;
  orderTimeoutMs: number;
  partTimeoutMs: number;
  logger: Logger;
}): RequestHandler {
  const { upstreams, orderTimeoutMs, partTimeoutMs, logger } = options;
  return async (request, response) => {
    rewriteHeaders(request);
    const headers = headersForInside(request);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const ask: Ask = (upstream, path, timeoutMs, signal) =>
      upstreams[upstream].fetchJson({
        path,
        headers,
        timeoutMs,
        signal: signal === undefined ? gone.signal : AbortSignal.any([gone.signal, signal]),
      });
    const missing = new Set<string>();
    const part = async <T, F>(name: (typeof overviewParts)[number], work: Promise<T>, instead: F): Promise<T | F> => {
      try {
        return await work;
      } catch (error) {
        if (!(error instanceof AppError || error instanceof HttpError)) throw error;
        logger.warn('a part of an overview could not be had', { part: name, error });
        missing.add(name);
        return instead;
      }
    };

    try {
      const id = encodeURIComponent(String(request.params.id));
      const order = read(await ask('order-service', `/v1/orders/${id}`, orderTimeoutMs), orderIn);
      const ofOrder = async (upstream: UpstreamName, list: string, limit: number) =>
        read(await ask(upstream, `/v1/${list}?orderId=${order.id}&limit=${limit}`, partTimeoutMs), pageIn).items;
      const productIds = order.items.map(({ productId }) => productId);
      const [payments, products, notifications] = await Promise.all([
        part('payment', ofOrder('payment-service', 'payments', 1), []),
        part('products', getProducts(productIds, partTimeoutMs, ask), []),
        part('notifications', ofOrder('notification-service', 'notifications', MAX_MAILS), []),
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
