// Imports point one way: services know the chassis and never each other; the domain knows nothing that does I/O.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '../..');
const services = [
  'api-gateway',
  'user-service',
  'product-service',
  'order-service',
  'payment-service',
  'notification-service',
];

interface Import {
  file: string;
  /** A path from the root for a relative import, else the package's name and path. */
  target: string;
}

function importsOf(pattern: string, withTypes = true): Import[] {
  return globSync(pattern, { cwd: root })
    .filter((file) => !file.includes('node_modules') && !file.endsWith('.test.ts'))
    .flatMap((file) => {
      const source = readFileSync(join(root, file), 'utf8');
      // What only names types is gone when the code runs.
      const running = source.replaceAll(/(^|\n)import type [^;]*;/g, '');
      const found = (withTypes ? source : running).matchAll(
        /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s+'([^']+)'|import\('([^']+)'\)|(?:^|\n)import '([^']+)'/g,
      );
      return [...found].map((match) => {
        const name = match[1] ?? match[2] ?? match[3] ?? '';
        return { file, target: name.startsWith('.') ? normalize(join(dirname(file), name)) : name };
      });
    });
}

test('the test itself sees imports', () => {
  assert.ok(importsOf('order-service/src/**/*.ts').length > 50);
});

for (const service of services) {
  test(`${service}: imports its own code, the chassis by its exports, and libraries`, () => {
    for (const { file, target } of importsOf(`${service}/src/**/*.ts`)) {
      assert.ok(
        !/^(shared|infrastructure|test|[a-z]+-service|api-gateway)\//.test(target) ||
          target.startsWith(`${service}/src/`),
        `${file} → ${target}`,
      );
      const other = /^@glasshouse\/([^/]+)/.exec(target)?.[1];
      assert.ok(other === undefined || other === 'shared', `${file} → ${target}`);
    }
  });

  test(`${service}: its domain imports nothing with I/O`, () => {
    for (const { file, target } of importsOf(`${service}/src/domain/*.ts`, false)) {
      const isFree =
        target.startsWith(`${service}/src/domain/`) ||
        /^@glasshouse\/shared\/(contracts|errors)$/.test(target) ||
        target === 'node:crypto';
      assert.ok(isFree, `${file} → ${target}`);
    }
  });

  test(`${service}: handlers know neither doors nor workers, data knows no handlers`, () => {
    for (const { file, target } of importsOf(`${service}/src/handlers/*.ts`))
      assert.ok(!/\/src\/(http|messaging|workers)\//.test(target) && target !== 'express', `${file} → ${target}`);
    for (const { file, target } of importsOf(`${service}/src/data/*.ts`))
      assert.ok(!/\/src\/(http|messaging|workers|handlers)\//.test(target), `${file} → ${target}`);
  });

  test(`${service}: only its settings and its commands read the environment`, () => {
    for (const file of globSync(`${service}/src/**/*.ts`, { cwd: root })) {
      if (/\/(main|migrate|keys|config)(\.test)?\.ts$/.test(file)) continue;
      assert.ok(!readFileSync(join(root, file), 'utf8').includes('process.env'), `${file} reads process.env`);
    }
  });
}

test('the chassis imports no service, and nobody but tests and the generator imports the saga table', () => {
  for (const { file, target } of importsOf('shared/src/**/*.ts'))
    assert.ok(!/^([a-z]+-service|api-gateway|infrastructure)\//.test(target), `${file} → ${target}`);
  for (const pattern of [
    '*-service/src/**/*.ts',
    'api-gateway/src/**/*.ts',
    'shared/src/**/*.ts',
    'infrastructure/*/src/**/*.ts',
  ])
    for (const { file, target } of importsOf(pattern))
      assert.ok(
        !target.endsWith('order-saga.ts') || file === 'infrastructure/generate/src/saga-page.ts',
        `${file} → ${target}`,
      );
});

test('the contracts import nothing but zod, themselves and the topology that is made from them', () => {
  for (const { file, target } of importsOf('shared/src/contracts/*.ts')) {
    assert.ok(target === 'zod' || target.startsWith('shared/src/contracts/'), `${file} → ${target}`);
  }
});
