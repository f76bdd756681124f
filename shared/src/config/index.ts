// Settings come from the environment only (https://12factor.net/config), are checked all at once, and refuse demo secrets in production.
import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { z } from 'zod';

export const port = (fallback?: number) => {
  const schema = z.coerce.number().int().min(0).max(65_535);
  return fallback === undefined ? schema : schema.default(fallback);
};
export const positiveInt = (fallback: number) => z.coerce.number().int().positive().default(fallback);
export const nonNegativeInt = (fallback: number) => z.coerce.number().int().nonnegative().default(fallback);
export const flag = (fallback: boolean) =>
  z
    .enum(['true', 'false'])
    .default(fallback ? 'true' : 'false')
    .transform((value) => value === 'true');
export const url = (protocols: RegExp) => z.url({ protocol: protocols });

/** A MongoDB connection string that names a database; it may list several hosts, which no URL parser takes. */
export const mongoUrl = () =>
  z.string().regex(/^mongodb(\+srv)?:\/\/[^/]+\/[^/?]+(\?.*)?$/, 'is not a MongoDB connection string with a database');

/** A comma-separated list of base URLs, one for each copy of a service; callers rotate. */
export const urlList = (fallback?: string) => {
  const schema = z.string().transform((value, context) =>
    value.split(',').map((part) => {
      const text = part.trim().replace(/\/$/, '');
      if (!/^https?:\/\//.test(text) || !URL.canParse(text)) context.addIssue(`${part} is not an http(s) URL`);
      return text;
    }),
  );
  return fallback === undefined ? schema : schema.default(() => fallback.split(','));
};

export const secret = () => z.string().min(1);

/** What every process has. */
export const commonSettings = {
  NODE_ENV: z.enum(['development', 'test', 'production']).default('development'),
  LOG_LEVEL: z.enum(['error', 'warn', 'info', 'debug']).default('info'),
  HOST: z.string().default('127.0.0.1'),
  METRICS_PORT: port().optional(),
  /** Where traces are sent; none are made without it. */
  OTEL_EXPORTER_OTLP_ENDPOINT: url(/^https?$/).optional(),
  /** Which traces are recorded. What belongs to another's trace follows it. */
  OTEL_TRACES_SAMPLER: z
    .enum(['parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'])
    .default('parentbased_always_on'),
  /** For `parentbased_traceidratio`: the share of traces, 0 to 1. */
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  /** How long spans are gathered before they are sent, in milliseconds. */
  OTEL_BSP_SCHEDULE_DELAY: positiveInt(5_000),
  /** `otlp` sends metrics to the same endpoint, beside the port where they can be fetched. */
  OTEL_METRICS_EXPORTER: z.enum(['none', 'otlp']).default('none'),
  /** How often, in milliseconds. */
  OTEL_METRIC_EXPORT_INTERVAL: positiveInt(60_000),
  /** Where the time that a stop may take ends, in milliseconds. */
  SHUTDOWN_TIMEOUT_MS: positiveInt(9_000),
};

/** What every process that checks tokens has. */
export const tokenSettings = {
  JWT_ISSUER: z.string().min(1).default('glasshouse'),
  JWT_AUDIENCE: z.string().min(1).default('glasshouse-api'),
};

/** What every process that publishes or consumes events has. */
export const eventSettings = {
  RABBITMQ_URL: secret().pipe(url(/^amqps?$/)),
  /** How often the outbox is searched for what a crash left behind, in milliseconds. */
  OUTBOX_SWEEP_INTERVAL_MS: positiveInt(2_000),
};

/** Thrown with every problem in its message, one a line. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/**
 * What is given for the settings `names`: by `X` itself, or by `X_FILE`, a file that holds the value, as secrets are mounted into containers.
 * `problems` has a line for each that is given twice or can't be read, by the setting's name.
 */
function givenSettings(names: readonly string[], env: NodeJS.ProcessEnv) {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const problems = new Map<string, string>();
  for (const name of names) {
    const file = given[`${name}_FILE`];
    if (file === undefined) continue;
    if (given[name] !== undefined) {
      problems.set(name, `  ${name}: is given twice, as ${name} and as ${name}_FILE`);
      continue;
    }
    try {
      const value = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
      if (value === '') problems.set(name, `  ${name}_FILE: the file is empty`);
      given[name] = value;
    } catch (error) {
      problems.set(name, `  ${name}_FILE: the file can't be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  return { given, problems };
}

/**
 * Reads and checks the settings; an empty value counts as not set. Any setting `X` may be given as `X_FILE` instead, the name of a file with its value.
 * @throws ConfigError naming every missing or wrong setting, never a value (it may be a secret).
 */
export function readSettings<S extends z.ZodRawShape>(shape: S, env: NodeJS.ProcessEnv): z.output<z.ZodObject<S>> {
  const { given, problems } = givenSettings(Object.keys(shape), env);
  // Demo values in the repository are marked `demo-`; they must not reach production.
  const demo = Object.keys(shape).filter((name) => given.NODE_ENV === 'production' && given[name]?.includes('demo-'));
  const result = z.object(shape).safeParse(given);
  if (result.success && demo.length === 0 && problems.size === 0) return result.data;
  const lines = [
    ...problems.values(),
    ...(result.error?.issues ?? []).flatMap((issue) => {
      const name = issue.path.join('.');
      if (problems.has(name)) return [];
      return [`  ${name}: ${given[name] === undefined ? 'is missing' : issue.message}`];
    }),
    ...demo.map((name) => `  ${name}: is a demo value; NODE_ENV=production wants a real one`),
  ];
  throw new ConfigError(['Wrong settings:', ...lines].join('\n'));
}

/** This process's environment; what is missing there comes from `file`, where there is one: the local runner tells its tools so. */
export function environmentWith(file: string): NodeJS.ProcessEnv {
  try {
    return { ...parseEnv(readFileSync(file, 'utf8')), ...process.env };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return process.env;
    throw error;
  }
}
