// The command: exit code 0 where every equation holds, 1 where one does not, 2 where the audit can't be made.
import { parseArgs } from 'node:util';
import { ConfigError } from '@glasshouse/shared/config';
import { audit, loadConfig, readEnvironment, Unreachable } from './index.ts';
import { asJson, asText } from './report.ts';

try {
  const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
  const result = await audit(loadConfig(readEnvironment()));
  console.log(values.json ? asJson(result) : asText(result));
  process.exitCode = result.ok ? 0 : 1;
} catch (error) {
  const isExpected = error instanceof ConfigError || error instanceof Unreachable || isWrongArgument(error);
  console.error(isExpected ? (error as Error).message : error);
  process.exitCode = 2;
}

function isWrongArgument(error: unknown): boolean {
  return String((error as { code?: unknown } | null)?.code).startsWith('ERR_PARSE_ARGS');
}
