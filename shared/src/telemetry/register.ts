// Loads OpenTelemetry: `node --import @glasshouse/shared/telemetry/register src/main.ts`. Does nothing without an endpoint, for watching has a price.
if (process.env.OTEL_EXPORTER_OTLP_ENDPOINT) {
  process.env.OTEL_SERVICE_NAME ??= process.argv[1]?.split('/').at(-3) ?? 'unknown';
  process.env.OTEL_METRICS_EXPORTER ??= 'none';
  process.env.OTEL_LOGS_EXPORTER ??= 'none';
  process.env.OTEL_TRACES_EXPORTER ??= 'otlp';
  await import('./sdk.ts');
}

export {};
