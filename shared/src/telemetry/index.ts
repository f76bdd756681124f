// Traces and metrics: the API that the rest of the code uses. The SDK is in register.ts and loads only where an endpoint is set.
export * from './context.ts';
export * from './metrics.ts';
