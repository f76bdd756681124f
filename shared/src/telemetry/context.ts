// What a piece of work belongs to: its trace (W3C), its request id, the event that caused it, and whom it is about. Kept in AsyncLocalStorage by
// OpenTelemetry's API, so that it is the same mechanism with and without the SDK, and never a module-level variable.
import { randomUUID } from 'node:crypto';
import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  isSpanContextValid,
  type Link,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';

export { type Attributes, type Link, type Span, SpanKind } from '@opentelemetry/api';

/** Where some work comes from; stored with every intent, so that a worker goes on in the same trace after a restart. */
export interface Cause {
  correlationId: string;
  causationId?: string | undefined;
  traceparent: string;
}

/** What the log lines of a piece of work say of it, beside its trace. */
interface About {
  requestId?: string;
  causationId?: string | undefined;
  orderId?: string;
  userId?: string;
}

/** A span as https://opentelemetry.io/docs/specs/semconv/ wants it: no personal data, no secrets, names of few values. */
export interface SpanDescription {
  name: string;
  kind?: SpanKind;
  attributes?: Attributes;
  links?: Link[];
}

const workKey = createContextKey('glasshouse.work');
interface Work {
  about: About;
  span: Span;
}

const tracer = trace.getTracer('glasshouse');
const nobodysSpan = trace.wrapSpanContext({ traceId: '', spanId: '', traceFlags: TraceFlags.NONE });

/** Makes the context work. Safe to call more than once. */
export function setupContext(): void {
  const probe = createContextKey('glasshouse.probe');
  if (context.with(context.active().setValue(probe, true), () => context.active().getValue(probe) === true)) return;
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
}

/** https://www.w3.org/TR/trace-context/#traceparent-header; of a later version what this one knows. */
function spanContextOf(traceparent: string | undefined): SpanContext | undefined {
  const [, version, traceId = '', spanId = '', flags = '', more] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(traceparent ?? '') ?? [];
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  const found = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
  return isSpanContextValid(found) ? found : undefined;
}

/** Made of UUIDs, for which Node draws its random bytes in stock: five times as fast as asking for as many. */
const randomHex = () => randomUUID().replaceAll('-', '');

function newSpanContext(traceId = randomHex(), flags = TraceFlags.NONE): SpanContext {
  return { traceId, spanId: randomHex().slice(0, 16), traceFlags: flags };
}

/** A span below `parent`; where nobody takes spans, at least an id of its own: every piece of work has a trace id. */
function openSpan({ name, kind = SpanKind.INTERNAL, attributes, links }: SpanDescription, parent: Context): Span {
  const span = tracer.startSpan(name, { kind, ...(attributes && { attributes }), ...(links && { links }) }, parent);
  const above = trace.getSpanContext(parent);
  const { spanId } = span.spanContext();
  if (isSpanContextValid(span.spanContext()) && spanId !== above?.spanId) return span;
  return trace.wrapSpanContext(newSpanContext(above?.traceId, above?.traceFlags));
}

/**
 * Begins a piece of work that came from elsewhere (a request, a message, a row that is due): `work` runs in a span of its own, as a part of what
 * `cause` names. The caller ends the span.
 * @param cause `traceparent` as in https://www.w3.org/TR/trace-context/; one that is missing or malformed starts a new trace. Without a
 * `correlationId` the trace's id is taken.
 */
export function beginWork<T>(
  cause: { correlationId?: string | undefined; causationId?: string | undefined; traceparent?: string | undefined },
  description: SpanDescription,
  work: (span: Span) => T,
): T {
  const active = context.active();
  const { causationId } = cause;
  const remote = spanContextOf(cause.traceparent);
  const parent = remote === undefined ? active : trace.setSpanContext(active, remote);
  const span = openSpan(description, parent);
  const about: About = { requestId: cause.correlationId ?? span.spanContext().traceId, causationId };
  return context.with(
    trace.setSpan(parent, span).setValue(workKey, { about, span } satisfies Work),
    work,
    undefined,
    span,
  );
}

/** The same for work that ends with a promise: its span ends then, too. */
export const runWork = <T>(
  cause: Parameters<typeof beginWork>[0],
  description: SpanDescription,
  work: (span: Span) => Promise<T>,
): Promise<T> => beginWork(cause, description, (span) => untilDone(span, work));

/** One step of the work that is under way, in a span of its own where the work's trace is recorded; else it costs nothing. */
export function inSpan<T>(description: SpanDescription, step: (span: Span) => Promise<T>): Promise<T> {
  const active = context.active();
  if (trace.getSpan(active)?.isRecording() !== true) return step(nobodysSpan);
  const span = openSpan(description, active);
  return context.with(trace.setSpan(active, span), untilDone<T>, undefined, span, step);
}

/** The same for a step that tells its end by itself: nothing where the trace is not recorded. */
export function openStep(description: SpanDescription): Span | undefined {
  const active = context.active();
  return trace.getSpan(active)?.isRecording() === true ? openSpan(description, active) : undefined;
}

async function untilDone<T>(span: Span, work: (span: Span) => Promise<T>): Promise<T> {
  try {
    return await work(span);
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** The HTTP status of an error that has one. */
export function statusOf(error: unknown): number | undefined {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown };
  return [status, statusCode].find((value) => typeof value === 'number');
}

/** An error's HTTP status, code or class, as `error.type`: there are few of them, and a message may name people. */
export function errorTypeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  if (typeof code === 'string' && statusOf(error) === undefined) return code.slice(0, 60);
  return String(statusOf(error) ?? code ?? (error as object | null)?.constructor?.name ?? 'unknown');
}

export function failSpan(span: Span, error: unknown): void {
  if (!span.isRecording()) return;
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.setAttribute('error.type', errorTypeOf(error));
}

/** Says what the work under way turned out to be about: for its log lines, and the order for its span. */
export function tellAbout(told: About): void {
  const work = context.active().getValue(workKey) as Work | undefined;
  if (work === undefined) return;
  Object.assign(work.about, told);
  if (told.orderId !== undefined) work.span.setAttribute('glasshouse.order.id', told.orderId);
}

/** The span of the work under way, for what it turned out to be. */
export function workSpan(): Span {
  return (context.active().getValue(workKey) as Work | undefined)?.span ?? nobodysSpan;
}

/** What is called later, by somebody else's work, as a part of the work under way. */
export function inThisWork(action: () => void): () => void {
  const active = context.active();
  return () => context.with(active, action);
}

/** Goes on with what follows from another event than the one that the work began with. */
export function withCausation<T>(causationId: string | undefined, work: () => T): T {
  const active = context.active();
  const { about, span } = (active.getValue(workKey) as Work | undefined) ?? { about: {}, span: nobodysSpan };
  return context.with(active.setValue(workKey, { about: { ...about, causationId }, span } satisfies Work), work);
}

/** A link to the span in a stored traceparent; nothing where it is malformed. */
export function linkTo(traceparent: string): Link[] {
  const linked = spanContextOf(traceparent);
  return linked === undefined ? [] : [{ context: linked }];
}

/** The ids of the work that is under way; made up on the spot where none is. */
export function currentCause(): Cause {
  const active = context.active();
  const span = trace.getSpanContext(active) ?? newSpanContext();
  const about = (active.getValue(workKey) as Work | undefined)?.about;
  const traceparent = `00-${span.traceId}-${span.spanId}-0${span.traceFlags & 1}`;
  return { correlationId: about?.requestId ?? span.traceId, causationId: about?.causationId, traceparent };
}

/** The ids for a log line or a problem answer; empty outside any work. */
export function currentIds(): {
  traceId?: string;
  spanId?: string;
  requestId?: string;
  orderId?: string;
  userId?: string;
} {
  const active = context.active();
  const span = trace.getSpanContext(active);
  const { causationId: _, ...ids } = (active.getValue(workKey) as Work | undefined)?.about ?? {};
  return { ...(span && { traceId: span.traceId, spanId: span.spanId }), ...ids };
}

/** The trace id in a W3C traceparent. */
export function traceIdOf(traceparent: string): string {
  return traceparent.split('-')[1] ?? '';
}
