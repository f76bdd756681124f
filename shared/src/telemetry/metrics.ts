// Metrics through OpenTelemetry's API, served in Prometheus' form on a port of their own, never through the gateway.
import { type Attributes, type Histogram, metrics } from '@opentelemetry/api';
import type { Part } from '../process/index.ts';

/**
 * A histogram of durations in seconds, by OpenTelemetry's semantic conventions. Made at its first use, for the provider is set up later than modules load.
 */
export function durationHistogram(
  name: string,
  description: string,
): (seconds: number, attributes: Attributes) => void {
  let histogram: Histogram | undefined;
  return (seconds, attributes) => {
    histogram ??= metrics.getMeter('glasshouse').createHistogram(name, {
      unit: 's',
      description,
      advice: { explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] },
    });
    histogram.record(seconds, attributes);
  };
}

const METRICS_PORT_DISTANCE = 6_000;

/**
 * Serves `GET /metrics`, on the service's port + 6000 unless told otherwise; on port 0 not at all. Start it before anything that makes instruments.
 * The SDK is loaded with it: a command has no use for it.
 */
export function createMetricsServer(
  service: string,
  config: { PORT: number; METRICS_PORT?: number | undefined; HOST: string },
): Part {
  // A service on any free port (0), as in a test, serves none.
  const port = config.METRICS_PORT ?? (config.PORT === 0 ? 0 : config.PORT + METRICS_PORT_DISTANCE);
  if (port === 0) return { name: 'metrics', async start() {}, async stop() {} };
  let shutDown: (() => Promise<void>) | undefined;
  return {
    name: 'metrics',
    async start() {
      const [{ PrometheusExporter }, { resourceFromAttributes }, { MeterProvider }] = await Promise.all([
        import('@opentelemetry/exporter-prometheus'),
        import('@opentelemetry/resources'),
        import('@opentelemetry/sdk-metrics'),
      ]);
      const exporter = new PrometheusExporter({ port, host: config.HOST, preventServerStart: true });
      const resource = resourceFromAttributes({ 'service.name': service });
      const provider = new MeterProvider({ readers: [exporter], resource });
      metrics.setGlobalMeterProvider(provider);
      shutDown = () => provider.shutdown();
      await exporter.startServer();
    },
    stop: async () => shutDown?.(),
  };
}
