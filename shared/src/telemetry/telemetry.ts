// What a process tells of itself to those who watch: metrics in Prometheus' form on a port of their own, and, where an endpoint is set, traces and
// metrics over OTLP. The SDK is loaded only where somebody takes what it makes: it costs memory and time.
import { setTimeout as delay } from 'node:timers/promises';
import { metrics, trace } from '@opentelemetry/api';
import type { MetricReader } from '@opentelemetry/sdk-metrics';
import type { Part } from '../process/index.ts';
import { setupContext } from './context.ts';
import { gauge, registerInstruments } from './metrics.ts';

/** The settings of https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ that we know, and our own port. */
export interface TelemetryConfig {
  HOST: string;
  PORT: number;
  METRICS_PORT?: number | undefined;
  OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined;
  OTEL_TRACES_SAMPLER: 'parentbased_always_on' | 'parentbased_always_off' | 'parentbased_traceidratio';
  OTEL_TRACES_SAMPLER_ARG: number;
  OTEL_BSP_SCHEDULE_DELAY: number;
  OTEL_METRICS_EXPORTER: 'none' | 'otlp';
  OTEL_METRIC_EXPORT_INTERVAL: number;
}

const METRICS_PORT_DISTANCE = 6_000;
const LAST_EXPORT_LIMIT_MS = 1_000;

/**
 * Starts before anything that makes instruments or spans, and stops after it. `GET /metrics` is on the service's port + 6000, unless told otherwise;
 * on port 0 not at all.
 * @param options `isEdge`: whoever calls is nobody of ours. They may ask not to be recorded, and not to be recorded more often than others.
 */
export function createTelemetry(service: string, config: TelemetryConfig, options: { isEdge?: boolean } = {}): Part {
  setupContext();
  // A service on any free port (0), as in a test, serves none.
  const metricsPort = config.METRICS_PORT ?? (config.PORT === 0 ? 0 : config.PORT + METRICS_PORT_DISTANCE);
  const isPushed = config.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined && config.OTEL_METRICS_EXPORTER === 'otlp';
  const ends: (() => Promise<void>)[] = [];
  return {
    name: 'telemetry',
    async start() {
      if (config.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined)
        ends.push(await startTraces(service, config, options.isEdge === true));
      if (metricsPort !== 0 || isPushed) ends.push(await startMetrics(service, config, metricsPort, isPushed));
    },
    async stop() {
      // What can't be delivered by then is lost: whoever watches may be away.
      const tooLate = delay(LAST_EXPORT_LIMIT_MS, undefined, { ref: false });
      await Promise.race([Promise.allSettled(ends.map((end) => end())), tooLate]);
    },
  };
}

async function startTraces(service: string, config: TelemetryConfig, isEdge: boolean): Promise<() => Promise<void>> {
  const [{ OTLPTraceExporter }, { resourceFromAttributes }, sdk] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace'),
  ]);
  const roots = {
    parentbased_always_on: () => new sdk.AlwaysOnSampler(),
    parentbased_always_off: () => new sdk.AlwaysOffSampler(),
    parentbased_traceidratio: () => new sdk.TraceIdRatioBasedSampler(config.OTEL_TRACES_SAMPLER_ARG),
  };
  const root = roots[config.OTEL_TRACES_SAMPLER]();
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service }),
    sampler: new sdk.ParentBasedSampler({ root, ...(isEdge && { remoteParentSampled: root }) }),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter(),
        scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
      }),
    ],
  });
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}

async function startMetrics(
  service: string,
  config: TelemetryConfig,
  port: number,
  isPushed: boolean,
): Promise<() => Promise<void>> {
  const [{ resourceFromAttributes }, { MeterProvider, PeriodicExportingMetricReader }, { RuntimeNodeInstrumentation }] =
    await Promise.all([
      import('@opentelemetry/resources'),
      import('@opentelemetry/sdk-metrics'),
      import('@opentelemetry/instrumentation-runtime-node'),
    ]);
  const readers: MetricReader[] = [];
  const starts: (() => Promise<void>)[] = [];
  if (port !== 0) {
    const { PrometheusExporter } = await import('@opentelemetry/exporter-prometheus');
    const exporter = new PrometheusExporter({ port, host: config.HOST, preventServerStart: true });
    readers.push(exporter);
    starts.push(() => exporter.startServer());
  }
  if (isPushed) {
    const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-http');
    const interval = config.OTEL_METRIC_EXPORT_INTERVAL;
    readers.push(
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter(),
        exportIntervalMillis: interval,
        exportTimeoutMillis: Math.min(interval, 30_000),
      }),
    );
  }
  const provider = new MeterProvider({ readers, resource: resourceFromAttributes({ 'service.name': service }) });
  metrics.setGlobalMeterProvider(provider);
  new RuntimeNodeInstrumentation().setMeterProvider(provider);
  observeProcess();
  registerInstruments();
  for (const start of starts) await start();
  return () => provider.shutdown();
}

/** https://opentelemetry.io/docs/specs/semconv/system/process-metrics/ */
function observeProcess(): void {
  gauge('process.memory.usage', 'By', 'The amount of physical memory in use.', () => [[process.memoryUsage.rss()]]);
  metrics
    .getMeter('glasshouse')
    .createObservableCounter('process.cpu.time', { unit: 's', description: 'Total CPU seconds by mode.' })
    .addCallback((result) => {
      const { user, system } = process.cpuUsage();
      result.observe(user / 1e6, { 'cpu.mode': 'user' });
      result.observe(system / 1e6, { 'cpu.mode': 'system' });
    });
}
