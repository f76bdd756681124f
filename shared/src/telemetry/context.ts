// What a piece of work belongs to: its trace (W3C), its request id and the event that caused it. Kept in AsyncLocalStorage by OpenTelemetry's API,
// so that it is the same mechanism with and without the SDK, and never a module-level variable.
import { randomBytes } from 'node:crypto';
import {
  type Context,
  context,
  createContextKey,
  propagation,
  type SpanContext,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';

/** Where some work comes from; stored with every intent, so that a worker goes on in the same trace after a restart. */
export interface Cause {
  correlationId: string;
  causationId?: string | undefined;
  traceparent: string;
}

const causeKey = createContextKey('glasshouse.cause');
type StoredCause = Pick<Cause, 'correlationId' | 'causationId'>;

/** Makes the context work where no SDK is loaded (which brings its own). Safe to call more than once. */
export function setupContext(): void {
  const probe = createContextKey('glasshouse.probe');
  if (context.with(context.active().setValue(probe, true), () => context.active().getValue(probe) === true)) return;
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
}

function newSpanContext(traceId = randomBytes(16).toString('hex'), flags = TraceFlags.NONE): SpanContext {
  return { traceId, spanId: randomBytes(8).toString('hex'), traceFlags: flags };
}

/** `parent` with a span of our own below it, where neither the SDK nor the caller has one: every piece of work has a trace id. */
function withTrace(parent: Context): Context {
  const span = trace.getSpanContext(parent);
  if (span !== undefined && !span.isRemote) return parent;
  return trace.setSpanContext(parent, newSpanContext(span?.traceId, span?.traceFlags));
}

/**
 * Runs `work` as a part of what `cause` names.
 * @param cause `traceparent` as in https://www.w3.org/TR/trace-context/; one that is missing or malformed starts a new trace. An SDK's own span wins.
 */
export function runWithCause<T>(
  cause: { correlationId: string; causationId?: string | undefined; traceparent?: string | undefined },
  work: () => T,
): T {
  const active = context.active();
  const parent =
    cause.traceparent !== undefined && trace.getSpan(active) === undefined
      ? propagation.extract(active, { traceparent: cause.traceparent })
      : active;
  const stored: StoredCause = { correlationId: cause.correlationId, causationId: cause.causationId };
  return context.with(withTrace(parent).setValue(causeKey, stored), work);
}

/** The ids of the work that is under way; made up on the spot where none is. */
export function currentCause(): Cause {
  const active = context.active();
  const span = trace.getSpanContext(active) ?? newSpanContext();
  const stored = active.getValue(causeKey) as StoredCause | undefined;
  const traceparent = `00-${span.traceId}-${span.spanId}-0${span.traceFlags & 1}`;
  return { correlationId: stored?.correlationId ?? span.traceId, causationId: stored?.causationId, traceparent };
}

/** The ids for a log line or a problem answer; empty outside any work. */
export function currentIds(): { traceId?: string; spanId?: string; requestId?: string } {
  const active = context.active();
  const span = trace.getSpanContext(active);
  const stored = active.getValue(causeKey) as StoredCause | undefined;
  return {
    ...(span && { traceId: span.traceId, spanId: span.spanId }),
    ...(stored && { requestId: stored.correlationId }),
  };
}

/** The trace id in a W3C traceparent. */
export function traceIdOf(traceparent: string): string {
  return traceparent.split('-')[1] ?? '';
}
