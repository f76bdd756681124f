// Metrics through OpenTelemetry's API, served in Prometheus' form on a port of their own, never through the gateway.
import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import type { Part } from '../process/index.ts';

export const meter = () => metrics.getMeter('glasshouse');

/** Serves `GET /metrics`. Create it before anything that makes instruments. */
export function createMetricsServer(options: { port: number | undefined; host: string }): Part {
  if (options.port === undefined) return { name: 'metrics', async start() {}, async stop() {} };
  const exporter = new PrometheusExporter({ port: options.port, host: options.host, preventServerStart: true });
  const provider = new MeterProvider({ readers: [exporter] });
  metrics.setGlobalMeterProvider(provider);
  return { name: 'metrics', start: () => exporter.startServer(), stop: () => provider.shutdown() };
}
