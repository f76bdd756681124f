// Winston, one JSON object a line on stdout, each line with the ids of the work it belongs to.
import winston from 'winston';
import { currentIds } from '../telemetry/context.ts';

export type Logger = winston.Logger;

const secretName = /password|token|secret|authorization|cookie|api[-_]?key/i;

/** The message and code of an error and of what caused it, once, without the request or the connection that hang on some. */
function describeError(error: Error): Record<string, unknown> {
  const { code } = error as Error & { code?: unknown };
  return {
    name: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    stack: error.stack,
    ...(error.cause instanceof Error ? { cause: describeError(error.cause) } : {}),
  };
}

const tidy = winston.format((info) => {
  for (const [key, value] of Object.entries(info)) {
    if (value instanceof Error) info[key] = describeError(value);
    else if (secretName.test(key)) info[key] = '[redacted]';
  }
  return Object.assign(info, currentIds());
});

/** @param level error, warn, info or debug */
export function createLogger(options: { service: string; level: string }): Logger {
  const logger = winston.createLogger({
    level: options.level,
    defaultMeta: { service: options.service },
    format: winston.format.combine(winston.format.timestamp(), tidy(), winston.format.json()),
    transports: [new winston.transports.Console()],
  });
  // Winston makes a line of everything, and drops it then.
  for (const level of ['warn', 'info', 'debug'] as const)
    if (!logger.isLevelEnabled(level)) logger[level] = () => logger;
  return logger;
}
