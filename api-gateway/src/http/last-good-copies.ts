// The last good answers of the public catalogue, for when product-service can't answer: older, but better than none, and marked as such.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Request, Response } from 'express';
import { LRUCache } from 'lru-cache';
import { endToEndHeaders } from '../clients/proxy.ts';

/** So much of the room at most is for one answer. */
const LARGEST_SHARE = 1 / 16;
/** Beside its body, a copy takes about so many bytes. */
const OVERHEAD_BYTES = 1_000;

interface Copy {
  headers: [string, string | string[]][];
  body: Buffer;
  /** On the clock of `performance.now`: the time of day may be set back. */
  receivedAtMs: number;
  /** How old it was then, in seconds. */
  ageS: number;
}

export interface LastGoodCopies {
  /** Sees an answer on its way to the client; keeps it, or drops what a 404 has made void. False: it failed, and a copy can go in its place. */
  look(key: string, method: string, answer: IncomingMessage): boolean;
  find(key: string): Copy | undefined;
}

/** An answer meant for one caller, or one of several forms, is not for the next. */
function isForEverybody(headers: IncomingHttpHeaders): boolean {
  return (
    !/\b(private|no-store)\b/i.test(headers['cache-control'] ?? '') &&
    headers['set-cookie'] === undefined &&
    headers.vary === undefined
  );
}

/**
 * Keys are paths with their queries. The answers must not depend on who asks: see `withoutCredentials`.
 * @param maxBytes of all copies together; the one that was not used for longest goes first
 * @param maxAgeS older ones are never sent
 */
export function createLastGoodCopies({ maxBytes, maxAgeS }: { maxBytes: number; maxAgeS: number }): LastGoodCopies {
  const largest = Math.max(1, Math.floor(maxBytes * LARGEST_SHARE));
  const copies = new LRUCache<string, Copy>({
    maxSize: maxBytes,
    maxEntrySize: largest,
    sizeCalculation: ({ body }, key) => body.length + 2 * key.length + OVERHEAD_BYTES,
    ttl: maxAgeS * 1000,
  });

  const keep = (key: string, answer: IncomingMessage) => {
    const chunks: Buffer[] = [];
    let size = 0;
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= largest) chunks.push(chunk);
      else chunks.length = 0;
    });
    // Not there where the answer broke off.
    answer.once('end', () => {
      if (size > largest) return;
      copies.set(key, {
        headers: endToEndHeaders(answer.headers).filter(([name]) => name !== 'content-length' && name !== 'age'),
        body: Buffer.concat(chunks),
        receivedAtMs: performance.now(),
        ageS: Number(answer.headers.age ?? 0) || 0,
      });
    });
  };

  return {
    look(key, method, answer) {
      const status = answer.statusCode ?? 502;
      if (status >= 502 && status <= 504) return !copies.has(key);
      if (status === 404 || status === 410) copies.delete(key);
      if (status === 200 && method === 'GET' && isForEverybody(answer.headers)) keep(key, answer);
      return true;
    },
    find: (key) => copies.get(key),
  };
}

/** Answers with a copy, marked by its Age (RFC 9111, section 5.1) in seconds. */
export function sendCopy({ headers, body, receivedAtMs, ageS }: Copy, request: Request, response: Response): void {
  for (const [name, value] of headers) response.setHeader(name, value);
  response.setHeader('Age', Math.floor(ageS + (performance.now() - receivedAtMs) / 1000));
  response.setHeader('Content-Length', body.length);
  response.status(200).end(request.method === 'HEAD' ? undefined : body);
}

/** Nobody's token goes where the answer is kept for everybody: so the answer can't depend on it. */
export function withoutCredentials({ headers }: Request): void {
  delete headers.authorization;
  delete headers.cookie;
}
