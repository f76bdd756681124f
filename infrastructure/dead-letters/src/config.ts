// The one setting of the tool: the broker; the only reader of the environment here.
import { join } from 'node:path';
import { environmentWith, readSettings, secret, url } from '@glasshouse/shared/config';

/** Where the local runner says how its broker is reached. */
const LOCAL_FILE = join(import.meta.dirname, '../../../.local/operator.env');

const settings = {
  /** amqp(s)://user:password@host:port/vhost, as a user who may read the dead-letter queues and write to the retry exchanges. */
  DEAD_LETTERS_RABBITMQ_URL: secret().pipe(url(/^amqps?$/)),
};

export type Config = ReturnType<typeof loadConfig>;

/** @throws ConfigError where the setting is missing or wrong */
export function loadConfig(env: NodeJS.ProcessEnv) {
  return readSettings(settings, env);
}

/** This process's environment; what is missing there comes from the local runner's file, where there is one. */
export const readEnvironment = (file = LOCAL_FILE) => environmentWith(file);
