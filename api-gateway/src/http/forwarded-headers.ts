// What a service gets to see of a request's headers: nothing that claims who the caller is or where it came from, unless the gateway says so.
import type { OutgoingHttpHeaders } from 'node:http';
import { currentCause } from '@glasshouse/shared/telemetry';
import type { Request } from 'express';
import { clientAddress } from './client-address.ts';

/**
 * Meant for one connection only (RFC 9110, section 7.6.1). Transfer-Encoding is not among them: it frames the body that is passed on,
 * and Node writes it anew. Expect is answered here.
 */
export const hopByHopHeaders: ReadonlySet<string> = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'upgrade',
]);

/** Names that proxies and frameworks are known to trust, with either kind of dash. */
const claims =
  /^(forwarded|remote[-_]user|via|x[-_](auth|authenticated|client|correlation|forwarded|identity|original|real|remote|rewrite|roles?|user)([-_].*)?)$/;

/** Headers that a client names in Connection are for this hop only; what frames or signs the request is not for it to name. */
const kept = new Set(['authorization', 'content-length', 'content-type', 'host', 'transfer-encoding']);

/** Rewrites the request's headers in place; do it once, before the request is passed on. */
export function rewriteHeaders(request: Request): void {
  const { headers } = request;
  // Read before the headers that they may come from are dropped.
  const { protocol, host } = request;
  const address = clientAddress(request);
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase());
  for (const name of named) if (!kept.has(name)) delete headers[name];
  for (const name of Object.keys(headers)) if (hopByHopHeaders.has(name) || claims.test(name)) delete headers[name];
  const { correlationId, traceparent } = currentCause();
  headers['x-request-id'] = correlationId;
  headers.traceparent = traceparent;
  headers['x-forwarded-for'] = address;
  headers['x-forwarded-proto'] = protocol;
  // HTTP/1.0 has requests without it.
  if (host !== undefined) headers['x-forwarded-host'] = host;
}

/** What the gateway's own questions carry of a request, after `rewriteHeaders`: who asks, from where, and which trace they belong to. */
export function headersForInside({ headers }: Request): OutgoingHttpHeaders {
  const carried = Object.entries(headers).filter(([name]) =>
    /^(authorization|x-request-id|traceparent|tracestate|x-forwarded-(for|proto|host))$/.test(name),
  );
  return { ...Object.fromEntries(carried), accept: 'application/json' };
}
