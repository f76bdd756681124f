// Where a request comes from: what counts for its limits, and what the services are told.
import { isIP } from 'node:net';
import type { Logger } from '@glasshouse/shared/logger';
import type { Request, RequestHandler } from 'express';

/**
 * The client's IP address: as the trusted proxies tell it, else that of the connection. Some proxies tell the port as well, and some a word:
 * counted as it is, each connection would be another client.
 */
export function clientAddress({ ip = '', socket }: Request): string {
  const address = ip.replace(/^\[([^\]]*)\](:\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1');
  return isIP(address) === 0 ? (socket.remoteAddress ?? '') : address;
}

/** Says once that there seems to be a proxy that nobody has told us of. A client may have sent the header as well: it is not believed. */
export function warnOfUnknownProxy(logger: Logger): RequestHandler {
  let hasWarned = false;
  return (request, _response, next) => {
    if (!hasWarned && request.headers['x-forwarded-for'] !== undefined) {
      hasWarned = true;
      logger.warn(
        'X-Forwarded-For is not believed: where a proxy of ours stands in front, all clients behind it share one limit until TRUSTED_PROXY_HOPS is set',
      );
    }
    next();
  };
}
