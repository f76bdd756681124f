// Lists the keys that sign access tokens, or puts a new one in the place of the one that signs: `node src/keys.ts [list|rotate]`. The service may run or not.
import { ConfigError } from '@glasshouse/shared/config';
import { classifyFailure } from '@glasshouse/shared/errors';
import { createLogger } from '@glasshouse/shared/logger';
import { createDatabase } from '@glasshouse/shared/postgres';
import { runOnce } from '@glasshouse/shared/process';
import { loadKeysConfig } from './config.ts';
import type { ListedKey } from './data/signing-key-repository.ts';
import { createSigningKeys } from './security/signing-keys.ts';

const SERVICE = 'user-service';
const seconds = (time: Date | undefined) => (time === undefined ? '–' : `${time.toISOString().slice(0, 19)}Z`);

function stateOf({ acceptedUntil, isGone }: ListedKey): string {
  if (acceptedUntil === undefined) return 'signs';
  return isGone ? 'gone' : `accepted until ${seconds(acceptedUntil)}`;
}

function tableOf(keys: readonly ListedKey[]): string {
  const rows = keys.map((key) => [key.kid, seconds(key.createdAt), seconds(key.retiredAt), stateOf(key)]);
  const widths = [43, 20, 20, 0];
  return [['kid', 'created', 'retired', 'state'], ...rows]
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .join('\n');
}

await runOnce(async () => {
  const [command = 'list', ...rest] = process.argv.slice(2);
  if (rest.length > 0 || (command !== 'list' && command !== 'rotate'))
    throw new ConfigError('The commands are list and rotate.');
  const config = loadKeysConfig(process.env);
  const logger = createLogger({ service: SERVICE, level: 'warn' });
  const database = createDatabase({ url: config.DATABASE_URL, service: SERVICE, logger, maxConnections: 1 });
  const keys = createSigningKeys({
    database,
    encryptionKey: config.KEY_ENCRYPTION_KEY,
    accessTokenTtlS: config.ACCESS_TOKEN_TTL_S,
    logger,
  });
  try {
    if (command === 'rotate') await keys.rotate(database);
    process.stdout.write(`${tableOf(await keys.list(database))}\n`);
  } catch (error) {
    if (classifyFailure(error) !== 'dependency-down') throw error;
    const { code, message } = error as Error & { code?: string };
    throw new ConfigError(`The database at DATABASE_URL does not answer: ${message || code}`);
  } finally {
    await database.stop();
  }
});
