// Instruments of OpenTelemetry's metrics API. Each is made at its first use, for the provider is set up later than modules load; until then, and
// where nobody asks (a test, a command), they do nothing.
import { setTimeout as delay } from 'node:timers/promises';
import { type Attributes, type Counter, type Histogram, metrics } from '@opentelemetry/api';

const METER = 'glasshouse';

/** What is to be done once there is somebody to read it. */
const waiting: (() => void)[] = [];
let isRead = false;

function whenRead(register: () => void): void {
  if (isRead) register();
  else waiting.push(register);
}

/** Call it once there is a provider. */
export function registerInstruments(): void {
  isRead = true;
  for (const register of waiting.splice(0)) register();
}

/** The bounds of https://opentelemetry.io/docs/specs/semconv/http/http-metrics/, in seconds. */
const USUAL_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** A histogram of durations in seconds. */
export function durationHistogram(
  name: string,
  description: string,
  bounds: number[] = USUAL_BOUNDS,
): (seconds: number, attributes: Attributes) => void {
  let histogram: Histogram | undefined;
  return (seconds, attributes) => {
    if (!isRead) return;
    histogram ??= metrics.getMeter(METER).createHistogram(name, {
      unit: 's',
      description,
      advice: { explicitBucketBoundaries: bounds },
    });
    histogram.record(seconds, attributes);
  };
}

/**
 * A count of what happened. Where the attributes are known beforehand it starts with 0 for each: Prometheus sees an increase only over a value.
 */
export function counter(name: string, unit: string, description: string) {
  let created: Counter | undefined;
  const add = (value: number, attributes: Attributes) => {
    if (!isRead) return;
    created ??= metrics.getMeter(METER).createCounter(name, { unit, description });
    created.add(value, attributes);
  };
  return {
    count: (attributes: Attributes) => add(1, attributes),
    startWith(known: readonly Attributes[]) {
      whenRead(() => {
        for (const attributes of known) add(0, attributes);
      });
    },
  };
}

/** A value, or a promise of one, with what it is a value of. */
export type Reading = readonly [value: number, attributes?: Attributes | undefined];

/** Who asks has other questions as well, in milliseconds. */
const READING_LIMIT_MS = 1_000;

/**
 * A value that is read when somebody asks; several may have the same name, each with its own attributes. One that can't be read in time is not a
 * number (NaN): the last one would be told for ever.
 */
export function gauge(
  name: string,
  unit: string,
  description: string,
  read: () => readonly Reading[] | Promise<readonly Reading[]>,
): void {
  let last: readonly Reading[] = [];
  const readInTime = async () => {
    const tooLate = delay(READING_LIMIT_MS, undefined, { ref: false });
    last = (await Promise.race([read(), tooLate])) ?? last.map(([, attributes]): Reading => [Number.NaN, attributes]);
  };
  whenRead(() =>
    metrics
      .getMeter(METER)
      .createObservableGauge(name, { unit, description })
      .addCallback(async (result) => {
        await readInTime().catch(() => {
          last = last.map(([, attributes]): Reading => [Number.NaN, attributes]);
        });
        for (const [value, attributes] of last) result.observe(value, attributes);
      }),
  );
}

/** A pool of connections: https://opentelemetry.io/docs/specs/semconv/database/database-metrics/ */
export function observePool(
  name: string,
  max: number,
  read: () => { idle: number; used: number; waiting: number },
): void {
  const of = { 'db.client.connection.pool.name': name };
  gauge('db.client.connection.count', '{connection}', 'Connections, by state.', () => [
    [read().idle, { ...of, 'db.client.connection.state': 'idle' }],
    [read().used, { ...of, 'db.client.connection.state': 'used' }],
  ]);
  gauge('db.client.connection.max', '{connection}', 'Connections that there may be.', () => [[max, of]]);
  gauge('db.client.connection.pending_requests', '{request}', 'Requests that wait for a connection.', () => [
    [read().waiting, of],
  ]);
}

/** A call over HTTP, by https://opentelemetry.io/docs/specs/semconv/http/http-metrics/. */
export const recordHttpCall = durationHistogram('http.client.request.duration', 'Duration of HTTP client requests.');
