// Traces and metrics: what the rest of the code uses of OpenTelemetry's API, and the part of a process that sends them to those who watch.
export * from './context.ts';
export * from './metrics.ts';
export * from './telemetry.ts';
