// Every setting of the gateway, typed and checked; the only reader of the environment here.
import {
  commonSettings,
  nonNegativeInt,
  port,
  positiveInt,
  readSettings,
  tokenSettings,
  url,
  urlList,
} from '@glasshouse/shared/config';
import { z } from 'zod';

/** Origins as browsers send them (RFC 6454): scheme, host and port. `*` is none: whoever may call has to be named. */
const originList = () =>
  z
    .string()
    .transform((value, context) =>
      value.split(',').map((part) => {
        const origin = part.trim();
        if (!/^https?:/.test(origin) || !URL.canParse(origin) || new URL(origin).origin !== origin)
          context.addIssue(`${part} is not an origin, as https://shop.example`);
        return origin;
      }),
    )
    .optional();

export const settings = {
  ...commonSettings,
  ...tokenSettings,
  PORT: port(8080),
  /** Also for the public keys. */
  USER_SERVICE_URL: urlList('http://localhost:3001'),
  PRODUCT_SERVICE_URL: urlList('http://localhost:3002'),
  ORDER_SERVICE_URL: urlList('http://localhost:3003'),
  PAYMENT_SERVICE_URL: urlList('http://localhost:3004'),
  NOTIFICATION_SERVICE_URL: urlList('http://localhost:3005'),
  /** How long a service may take to begin its answer, once it has the whole request, and again to end it, in milliseconds. */
  UPSTREAM_TIMEOUT_MS: positiveInt(10_000),
  /** How many requests one copy of a service may have in flight; more are refused at once. */
  UPSTREAM_MAX_IN_FLIGHT: positiveInt(200),
  /** How long a circuit stays open before one request tries again, in milliseconds. */
  UPSTREAM_BREAKER_RESET_MS: positiveInt(1_000),
  /** The longest answer of a service that is passed on, in bytes. */
  UPSTREAM_MAX_ANSWER_BYTES: positiveInt(5_000_000),
  /** How long each part of an order's overview may take beside the order itself, in milliseconds. */
  OVERVIEW_PART_TIMEOUT_MS: positiveInt(2_000),
  /** Room for the last good answers of the catalogue, in bytes; one may take a sixteenth of it. */
  LAST_GOOD_MAX_BYTES: positiveInt(16_000_000),
  /** How old such an answer may be and still be sent when product-service can't answer, in seconds. */
  LAST_GOOD_MAX_AGE_S: positiveInt(86_400),
  /** For each signed-in user, else for each address; 0 = not limited. */
  RATE_LIMIT_PER_MINUTE: nonNegativeInt(600),
  /** For each address, on register, login and refresh; 0 = not limited. */
  AUTH_RATE_LIMIT_PER_MINUTE: nonNegativeInt(30),
  /** Where all copies of the gateway count together; without it each counts for itself. */
  REDIS_URL: url(/^rediss?$/).optional(),
  /** The origins whose pages may call, separated by commas; without it none. */
  CORS_ORIGINS: originList(),
  /** How long browsers have to come back over TLS only, in seconds; told over TLS only. 0 = not told. */
  HSTS_MAX_AGE_S: nonNegativeInt(0),
  /** How many proxies of our own stand in front; only as many entries of X-Forwarded-For are believed. */
  TRUSTED_PROXY_HOPS: nonNegativeInt(0),
};

export type Config = ReturnType<typeof loadConfig>;

/** @throws ConfigError naming every missing or wrong setting */
export function loadConfig(env: NodeJS.ProcessEnv) {
  return readSettings(settings, env);
}
