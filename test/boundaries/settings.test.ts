// `.env.example` and the code name the same settings with the same defaults, and a service says everything that is wrong at once.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSettings } from '@glasshouse/shared/config';
import type { z } from 'zod';
import { settings as gateway } from '../../api-gateway/src/config.ts';
import { brokerSettings, mongoSettings, postgresSettings } from '../../infrastructure/provision/src/config.ts';
import { settings as notifications } from '../../notification-service/src/config.ts';
import { settings as orders } from '../../order-service/src/config.ts';
import { settings as payments } from '../../payment-service/src/config.ts';
import { settings as products } from '../../product-service/src/config.ts';
import { settings as users } from '../../user-service/src/config.ts';

const root = join(import.meta.dirname, '../..');
const example = readFileSync(join(root, '.env.example'), 'utf8');
/** Name → value, as the file has it. */
const shown = new Map(
  [...example.matchAll(/^#? ?([A-Z][A-Z0-9_]+)=(.*)$/gm)].map((match) => [match[1] ?? '', (match[2] ?? '').trim()]),
);

const services: Record<string, Record<string, z.ZodType>> = {
  'api-gateway': gateway,
  'user-service': users,
  'product-service': products,
  'order-service': orders,
  'payment-service': payments,
  'notification-service': notifications,
};
/** The runner's, the migrations', the simulator's, the tools' and OpenTelemetry's own. */
const others =
  /^(MIGRATION_DATABASE_URL|SEED_DEMO_DATA|OTEL_.*|LEDGER_.*|(USERS|ORDERS|PAYMENTS)_DATABASE_URL|(PRODUCTS|NOTIFICATIONS)_MONGO_URL|RABBITMQ_MANAGEMENT_URL|LOG_FORMAT|AUDIT_.*|DEAD_LETTERS_RABBITMQ_URL|BASE_URL)$/;
/** Those whose default is another one in each service. */
const various = new Set(['PORT', 'CONSUMER_PREFETCH', 'DATABASE_POOL_SIZE']);

for (const [name, settings] of Object.entries(services)) {
  test(`${name}: every setting is in .env.example, with its default`, () => {
    for (const [setting, schema] of Object.entries(settings)) {
      assert.ok(shown.has(setting), `${setting} is missing in .env.example`);
      const parsed = schema.safeParse(undefined);
      if (!parsed.success || parsed.data === undefined || various.has(setting)) continue;
      assert.equal(shown.get(setting), String(parsed.data), setting);
    }
  });

  test(`${name}: without a setting that it needs it stops at once and names each one`, () => {
    const needed = Object.entries(settings).filter(([, schema]) => !schema.safeParse(undefined).success);
    const { status, stderr } = spawnSync(process.execPath, ['src/main.ts'], {
      cwd: join(root, name),
      env: { PATH: process.env.PATH, PORT: 'not-a-port' },
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.equal(status, 1);
    for (const [setting] of needed) assert.match(stderr, new RegExp(`^ {2}${setting}: is missing$`, 'm'));
    assert.match(stderr, /^ {2}PORT: /m);
    assert.doesNotMatch(stderr, /\n\s+at /, 'no stack');
  });

  test(`${name}: refuses the demo values of .env.example in production`, () => {
    const demo = [...shown].filter(([setting, value]) => setting in settings && value.includes('demo-'));
    const read = (env: Record<string, string>) => () => readSettings(settings, { ...Object.fromEntries(demo), ...env });
    for (const [setting] of demo) {
      const refusal = new RegExp(`^ {2}${setting}: is a demo value`, 'm');
      assert.throws(read({ NODE_ENV: 'production' }), refusal);
      assert.throws(
        read({ NODE_ENV: 'development', PORT: 'not-a-port' }),
        (error: Error) => !refusal.test(error.message),
      );
    }
  });
}

test('.env.example has no setting that nothing reads', () => {
  const provision = [postgresSettings, mongoSettings, brokerSettings];
  const compose = readFileSync(join(root, 'docker-compose.yml'), 'utf8').matchAll(/\$\{(\w+):/g);
  const known = new Set([
    ...[...Object.values(services), ...provision].flatMap((settings) => Object.keys(settings)),
    ...[...compose].map((match) => match[1] ?? ''),
  ]);
  for (const setting of shown.keys())
    assert.ok(known.has(setting) || others.test(setting), `${setting} is read by nothing`);
});
