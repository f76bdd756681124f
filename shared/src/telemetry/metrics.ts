// Instruments of OpenTelemetry's metrics API. Each is made at its first use, for the provider is set up later than modules load; where there is
// none (a test, a command) they do nothing.
import { type Attributes, type Counter, type Histogram, metrics } from '@opentelemetry/api';

const METER = 'glasshouse';

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
    histogram ??= metrics.getMeter(METER).createHistogram(name, {
      unit: 's',
      description,
      advice: { explicitBucketBoundaries: bounds },
    });
    histogram.record(seconds, attributes);
  };
}

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

/**
 * A count of what happened. Where the attributes are known beforehand it starts with 0 for each: Prometheus sees an increase only over a value.
 */
export function counter(name: string, unit: string, description: string) {
  let created: Counter | undefined;
  const add = (value: number, attributes: Attributes) => {
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
export type Reading = readonly [value: number, attributes?: Attributes];

/**
 * A value that is read when somebody asks; several may have the same name, each with its own attributes.
 * @param read what can't be read is left out of that scrape
 */
export function gauge(
  name: string,
  unit: string,
  description: string,
  read: () => readonly Reading[] | Promise<readonly Reading[]>,
): void {
  whenRead(() =>
    metrics
      .getMeter(METER)
      .createObservableGauge(name, { unit, description })
      .addCallback(async (result) => {
        for (const [value, attributes] of await read()) result.observe(value, attributes);
      }),
  );
}

/** A call over HTTP, by https://opentelemetry.io/docs/specs/semconv/http/http-metrics/. */
export const recordHttpCall = durationHistogram('http.client.request.duration', 'Duration of HTTP client requests.');
