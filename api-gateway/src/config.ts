// Every setting of the gateway, typed and checked; the only reader of the environment here.
import {
  commonSettings,
  nonNegativeInt,
  port,
  positiveInt,
  readSettings,
  tokenSettings,
  urlList,
} from '@glasshouse/shared/config';

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
  /** For each signed-in user, else for each address; 0 = not limited. */
  RATE_LIMIT_PER_MINUTE: nonNegativeInt(600),
  /** For each address, on register, login and refresh; 0 = not limited. */
  AUTH_RATE_LIMIT_PER_MINUTE: nonNegativeInt(30),
  /** How many proxies of our own stand in front; only as many entries of X-Forwarded-For are believed. */
  TRUSTED_PROXY_HOPS: nonNegativeInt(0),
};

export type Config = ReturnType<typeof loadConfig>;

/** @throws ConfigError naming every missing or wrong setting */
export function loadConfig(env: NodeJS.ProcessEnv) {
  return readSettings(settings, env);
}
