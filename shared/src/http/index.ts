// HTTP for a service: routes as data, checks, problem details, health and readiness.
export * from './address.ts';
export * from './app.ts';
export * from './openapi.ts';
export * from './problem.ts';
export * from './route.ts';
export * from './schemas.ts';
